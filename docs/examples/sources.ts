/**
 * Counts packets and bytes of every IPv4 source, and tells the largest at the end:
 *
 *     ixy-ts run docs/examples/sources.ts virtual:replay=in.pcap
 */
import { type App, EthernetFrame, EtherType, formatIpv4, Ipv4Packet, VlanTag } from 'ixy-ts'

/** Sources that are told apart; packets of further ones are counted together. */
const MOST_SOURCES = 1 << 16

interface Source {
  readonly address: number
  packets: number
  bytes: number
}

/** Those of all workers as one list, largest first. */
function merge(results: readonly unknown[]): Source[] {
  const sources = new Map<number, Source>()
  for (const { address, packets, bytes } of (results as Source[][]).flat()) {
    const source = sources.get(address) ?? { address, packets: 0, bytes: 0 }
    source.packets += packets
    source.bytes += bytes
    sources.set(address, source)
  }
  return [...sources.values()].sort((a, b) => b.packets - a.packets)
}

const sources: App = {
  name: 'sources',
  ports: { min: 1, max: 1 },
  counters: ['ipv4', 'other', 'too_many'],

  plan: (options, { queues }) => ({
    jobs: () => Array<unknown>(queues).fill(options),
    result: (results) =>
      merge(results).map(({ address, packets, bytes }) => ({ source: formatIpv4(address), packets, bytes })),
  }),

  make({ ports: [{ rx }], memory, batchSize, counters }) {
    const batch = memory.batch(batchSize)
    const frame = new EthernetFrame()
    const tag = new VlanTag()
    const ip = new Ipv4Packet()
    /** Where a source's counts are. */
    const places = new Map<number, number>()
    const packets = new Float64Array(MOST_SOURCES)
    const bytes = new Float64Array(MOST_SOURCES)

    function isIpv4(id: number): boolean {
      if (!frame.wrapPacket(memory, id)) return false
      const { u8, type, payloadOffset, payloadLength } = frame
      if (type !== EtherType.VLAN) return type === EtherType.IPV4 && ip.wrap(u8, payloadOffset, payloadLength)
      if (!tag.wrap(u8, payloadOffset, payloadLength) || tag.type !== EtherType.IPV4) return false
      return ip.wrap(u8, tag.payloadOffset, tag.payloadLength)
    }

    function count(id: number): void {
      if (!isIpv4(id)) {
        counters[1]++
        return
      }
      counters[0]++
      let place = places.get(ip.source)
      if (place === undefined) {
        if (places.size === MOST_SOURCES) {
          counters[2]++
          return
        }
        place = places.size
        places.set(ip.source, place)
      }
      packets[place]++
      bytes[place] += frame.length
    }

    return {
      step() {
        const received = rx.receive(batch, batchSize)
        for (let i = 0; i < received; i++) count(batch[i])
        memory.free(batch, 0, received)
        return received
      },

      result(): Source[] {
        const of = ([address, place]: [number, number]) => ({
          address,
          packets: packets[place],
          bytes: bytes[place],
        })
        return [...places].map(of)
      },
    }
  },
}
export default sources
