/**
 * Sends a stream of TCP: large packets, which the card cuts, and for which it computes checksums and puts VLAN tags in. What comes
 * in is counted by the card's verdict on its checksums.
 *
 *     ixy-ts run docs/examples/stream.ts virtual:record=out.pcap --mtu 9000 -- --count 100 --vlan 42
 */
import { parseArgs } from 'node:util'
import { type App, EthernetFrame, EtherType, IpProtocol, Ipv4Packet, OffloadFlag, parseIpv4 } from 'ixy-ts'
import { TcpFlag, TcpSegment, usageError } from 'ixy-ts'

interface Options {
  readonly count: number
  readonly vlan: number
  readonly segment: number
}

const HEADERS = 14 + 20 + 20
const [FROM_MAC, FROM] = [Uint8Array.of(2, 0, 0, 0, 0, 1), parseIpv4('10.0.0.1')]
const [TO_MAC, TO] = [Uint8Array.of(2, 0, 0, 0, 0, 2), parseIpv4('10.0.0.2')]

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw usageError(`--${name} ${text} is not valid`, `give a whole number from ${least} to ${most}`)
}

const stream: App<Options> = {
  name: 'stream',
  ports: { min: 1, max: 1 },
  pools: 1,
  offloads: 'uses',
  generates: true,
  counters: ['large', 'good', 'bad', 'not_checked', 'tagged'],

  options(argv) {
    const text = { type: 'string' } as const
    const { values } = parseArgs({ args: [...argv], options: { count: text, vlan: text, segment: text } })
    return {
      count: whole('count', values.count ?? '1000', 1, 2 ** 31),
      vlan: whole('vlan', values.vlan ?? '0', 0, 4094),
      segment: whole('segment', values.segment ?? '1400', 536, 1460),
    }
  },

  make({ ports: [{ rx, tx }], memory, pools: [pool], batchSize, counters, worker, workers }, options) {
    const { offloads } = memory
    if (offloads === null) throw new Error('there are no offloads')
    const batch = memory.batch(batchSize)
    const taken = memory.batch(batchSize)
    const [frame, ip, tcp] = [new EthernetFrame(), new Ipv4Packet(), new TcpSegment()]
    /** As long as a packet can be: with --mtu 9000 it is cut into more than ten. The card puts 4 bytes in for the tag. */
    const size = memory.longest - 4
    let left = Math.ceil((options.count - worker) / workers)
    let waiting = 0
    let sequence = 0

    const build = (id: number): void => {
      const { u8 } = memory
      memory.size[id] = size
      frame.wrapPacket(memory, id)
      frame.setDestination(TO_MAC)
      frame.setSource(FROM_MAC)
      frame.type = EtherType.IPV4
      ip.create(u8, frame.payloadOffset, frame.payloadLength)
      ip.protocol = IpProtocol.TCP
      ip.timeToLive = 64
      ip.source = FROM
      ip.destination = TO
      tcp.create(u8, ip.payloadOffset, ip.payloadLength)
      tcp.sourcePort = 40_000 + worker
      tcp.destinationPort = 9
      tcp.sequence = sequence
      tcp.flags = TcpFlag.ACK | TcpFlag.PSH
      tcp.window = 0xffff
      u8.fill(0x69, tcp.payloadOffset, tcp.payloadOffset + tcp.payloadLength)
      sequence = (sequence + tcp.payloadLength) | 0
      tcp.openChecksum(ip)
      offloads.flags[id] = OffloadFlag.CHECKSUM_OPEN | (options.vlan > 0 ? OffloadFlag.VLAN : 0)
      offloads.checksumStart[id] = 14 + 20
      offloads.checksumOffset[id] = 16
      offloads.segment[id] = options.segment
      offloads.headerBytes[id] = HEADERS
      offloads.vlan[id] = options.vlan
    }

    const look = (id: number): void => {
      const flags = offloads.flags[id]
      if ((flags & OffloadFlag.CHECKSUM_GOOD) !== 0) counters[1]++
      else if ((flags & OffloadFlag.CHECKSUM_BAD) !== 0) counters[2]++
      else counters[3]++
      if ((flags & OffloadFlag.VLAN) !== 0) counters[4]++
    }

    return {
      step() {
        const received = rx.receive(taken, batchSize)
        for (let i = 0; i < received; i++) look(taken[i])
        memory.free(taken, 0, received)
        // Those that there was no room for the last time are first.
        if (waiting === 0) {
          waiting = memory.allocate(pool, batch, Math.min(left, batchSize, tx.room()))
          for (let i = 0; i < waiting; i++) build(batch[i])
          left -= waiting
        }
        const sent = tx.transmit(batch, 0, waiting)
        batch.copyWithin(0, sent, waiting)
        waiting -= sent
        counters[0] += sent
        return received + sent
      },
      quiet() {
        left = 0
        memory.free(batch, 0, waiting)
        waiting = 0
      },
      done: () => left === 0 && waiting === 0,
    }
  },
}
export default stream
