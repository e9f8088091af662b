/** Probes that the card stamps: what they look like, and that nothing else is taken for one. */
import { GeneratedFrames } from '../../../src/apps/pktgen/frame-source.ts'
import { LatencyBook, latencyOf } from '../../../src/apps/pktgen/latency.ts'
import { LatencyProbe } from '../../../src/apps/pktgen/latency-probe.ts'
import { probeLayoutOf } from '../../../src/apps/pktgen/probe-layout.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import { readAddresses, readPorts } from '../../../src/apps/pktgen/templates/range.ts'
import { shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import type { StreamFlags } from '../../../src/apps/pktgen/templates/stream-options.ts'
import { TimedPackets } from '../../../src/apps/pktgen/timed-packet.ts'
import { WireDesk } from '../../../src/apps/pktgen/wire-desk.ts'
import type { TxQueue } from '../../../src/driver/device.ts'
import { POOL, makeMemory, packet } from './memory.ts'

const SOURCE = 0x5aa5
const BATCH = 4

function bench(flags: StreamFlags, port = 1337) {
  const memory = makeMemory()
  const { template, sizes, counts, order, seed } = shapeOf(flags, {
    mtu: 1500,
    payload: 14,
    called: (name) => name,
  })
  const layouts = [probeLayoutOf(template)]
  const book = LatencyBook.allocate()
  const deskMemory = WireDesk.allocate()
  const desk = new WireDesk(deskMemory)
  const timed = { desk: deskMemory, port, streams: [true], source: SOURCE }
  const probe = new LatencyProbe(memory, [new LatencyBook(book)], { key: 0xdeadbeef, layouts, timed }, 1)
  probe.begin(1000)
  const source = new GeneratedFrames(memory, POOL, planFrames(template, sizes, counts, order, seed), {
    index: 0,
    of: 1,
  })
  const sent: { frame: Buffer; stamped: boolean }[] = []
  const take = (batch: Int32Array, from: number, count: number, stamped: boolean): number => {
    for (const id of batch.subarray(from, from + count))
      sent.push({ frame: Buffer.from(packet(memory, id)), stamped })
    return count
  }
  const tx = {
    transmit: (batch, from, count) => take(batch, from, count, false),
    transmitStamped: (batch, from) => take(batch, from, 1, true),
  } as TxQueue
  const packets = new TimedPackets(memory, tx, source, timed, layouts, false)
  const batch = new Int32Array(BATCH)
  return {
    desk,
    /** Sends a batch at `at` ms; returns its frames, which are free again. */
    send(at = 1001) {
      sent.length = 0
      expect(source.next(batch, BATCH)).toBe(BATCH)
      const chosen = packets.choose(batch, BATCH, 0)
      probe.stamp(batch, BATCH, 0, Float64Array.of(at))
      if (chosen < 0) tx.transmit(batch, 0, BATCH)
      else packets.send(batch, chosen, BATCH)
      memory.free(batch, 0, BATCH)
      return [...sent]
    },
    receive(frame: Uint8Array, at: number) {
      const one = new Int32Array(1)
      expect(memory.allocate(0, one, 1)).toBe(1)
      memory.size[one[0]] = frame.length
      memory.u8.set(frame, memory.dataOffset(one[0]))
      probe.collect(one, 1, Float64Array.of(at))
      memory.free(one, 0, 1)
    },
    result: () => latencyOf([new LatencyBook(book)]),
  }
}

const SHAPES: [string, StreamFlags, number][] = [
  ['60 bytes', {}, 86],
  ['60 bytes with a checksum', { udpChecksum: true }, 86],
  ['a tag', { vlan: [7] }, 90],
  ['IPv6', { srcIp: readAddresses('', 'fd00::1') }, 106],
  ['long ones', { size: [1000] }, 1000],
  ['several flows and sizes', { size: [60, 80], flows: 16 }, 86],
]

describe.each(SHAPES)('%s', (_, shape, bytes) => {
  test('one of them is a PTP message, its number where it belongs; it is measured as the others are', () => {
    const { desk, send, receive, result } = bench(shape)
    const plain = send()
    expect(plain.some(({ stamped }) => stamped)).toBe(false)
    desk.want(0x12345)
    const frames = send()
    expect(frames.map(({ stamped }) => stamped)).toEqual([true, false, false, false])
    const [{ frame }] = frames
    expect(frame.length).toBe(bytes)
    expect(frames.map(({ frame }) => frame.readUInt32LE(frame.length - 4))).toEqual([4, 5, 6, 7])
    const payload = frame.indexOf('iry')
    expect([frame[payload] & 0xf, frame[payload + 1] & 0xf]).toEqual([9, 2])
    expect(frame.subarray(payload + 20, payload + 32).toString('hex')).toBe('5aa55aa55aa55aa55aa52345')
    for (const { frame } of [...plain, ...frames]) receive(frame, 1001.5)
    expect(result()).toMatchObject({ sent: 8, returned: 8, damaged: 0, foreign: 0, min: 500, max: 500 })
    expect(desk.roundTrip(0x12345)).toBe(500_000)
    // Nothing of it stays in the buffer.
    for (let i = 0; i < 20; i++)
      for (const { frame, stamped } of send()) {
        expect(stamped).toBe(false)
        expect(frame.includes('iry')).toBe(false)
        receive(frame, 1002)
      }
    expect(result()).toMatchObject({ returned: 88, damaged: 0 })
  })

  test('no change to it leaves it a measurement', () => {
    const { desk, send, receive, result } = bench(shape)
    for (let at = 12; at < bytes; at++) {
      desk.want(at)
      const [{ frame }] = send()
      const tag = frame.readUInt16BE(12) === 0x8100
      const v6 = frame.readUInt16BE(tag ? 16 : 12) === 0x86dd
      // What tests of other probes leave out as well: what forwarders touch, tags, and what no checksum of IPv6 covers.
      if (at === 48 || (tag && (at < 18 || at === 52)) || (v6 && at < 22) || (at > 200 && at % 97 !== 0))
        continue
      frame[at] ^= 0x10
      receive(frame, 1002)
      expect([at, desk.roundTrip(at)]).toEqual([at, null])
    }
    expect(result()).toMatchObject({ returned: 0 })
  })
})

test('a usual probe that is made to look like one isn’t believed, nor one of another run', () => {
  const { desk, send, receive, result } = bench({ size: [100] })
  desk.want(0x6978)
  const [stamped, { frame }] = send()
  frame[43] = 0x72
  receive(frame, 1002)
  // With the number and source that are asked for.
  frame.set(stamped.frame.subarray(62, 74), 62)
  frame[60] = 1
  receive(frame, 1002)
  const other = bench({ size: [100] }).send()[0].frame
  other[43] = 0x72
  receive(other, 1002)
  expect(desk.roundTrip(0x6978)).toBeNull()
  expect(result()?.returned).toBe(0)
})

test('a late one is not the one that is asked for now', () => {
  const { desk, send, receive } = bench({})
  desk.want(1)
  const [{ frame }] = send()
  desk.want(2)
  receive(frame, 1002)
  expect([desk.roundTrip(1), desk.roundTrip(2)]).toEqual([null, null])
})

test('only a packet for the port that the card looks at is chosen', () => {
  const flags = { dstPort: readPorts('', '1334-1341') }
  const { desk, send } = bench(flags)
  desk.want(1)
  const frames = send()
  expect(frames.map(({ frame, stamped }) => [frame.readUInt16BE(36), stamped])).toEqual([
    [1334, false],
    [1335, false],
    [1336, false],
    [1337, true],
  ])
  desk.want(2)
  expect(send().some(({ stamped }) => stamped)).toBe(false)
})
