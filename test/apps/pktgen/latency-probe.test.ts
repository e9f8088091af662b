import fc from 'fast-check'
import { GeneratedFrames } from '../../../src/apps/pktgen/frame-source.ts'
import { LatencyProbe } from '../../../src/apps/pktgen/latency-probe.ts'
import { type Latency, LatencyBook, latencyOf } from '../../../src/apps/pktgen/latency.ts'
import type { PacketMemory } from '../../../src/memory/packets.ts'
import { internetChecksum } from '../../../src/packet/checksum.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import { DEFAULT_TEMPLATE } from '../../../src/packet/template.ts'
import { POOL, makeMemory, packet } from './memory.ts'

const KEY = 0xdeadbeef
/** Milliseconds; such that a word of the stamp overflows soon. */
const START = 4_294_967_290 / 1e6 + 1e7

interface Bench {
  readonly memory: PacketMemory
  /** Sends `count` packets at `at` milliseconds after the start; returns copies of them. */
  send(count: number, at: number): Buffer[]
  /** Takes a frame in. */
  receive(frame: Uint8Array, at: number): void
  readonly result: () => Latency
}

function bench({
  size = 60,
  vlanId = null as number | null,
  key = KEY,
  flows = 3,
  of = 1,
  index = 0,
} = {}): Bench {
  const memory = makeMemory()
  const book = new LatencyBook(LatencyBook.allocate())
  const probe = new LatencyProbe(memory, book, key)
  probe.begin(START)
  const plan = planFrames({ ...DEFAULT_TEMPLATE, vlans: vlanId === null ? [] : [vlanId] }, [size], {
    sourcePort: flows,
  })
  const source = new GeneratedFrames(memory, POOL, plan, { index, of })
  const one = new Int32Array(1)
  return {
    memory,
    send(count, at) {
      return Array.from({ length: count }, () => {
        expect(source.next(one, 1)).toBe(1)
        probe.stamp(one, 1, START + at)
        const copy = Buffer.from(packet(memory, one[0]))
        memory.free(one, 0, 1)
        return copy
      })
    },
    receive(frame, at) {
      expect(memory.allocate(0, one, 1)).toBe(1)
      memory.size[one[0]] = frame.length
      memory.u8.set(frame, memory.dataOffset(one[0]))
      probe.collect(one, 1, START + at)
      memory.free(one, 0, 1)
    },
    result() {
      const latency = latencyOf([book])
      if (latency === null) throw new Error('no book')
      return latency
    },
  }
}

const shapes = fc.record({
  size: fc.oneof(fc.integer({ min: 60, max: 70 }), fc.constant(1514)),
  vlanId: fc.constantFrom(null, 42),
})

test('what comes back is measured, once', () => {
  fc.assert(
    fc.property(
      shapes,
      fc.double({ min: 0, max: 5000, noNaN: true }),
      fc.integer({ min: 0, max: 4e9 }),
      (shape, at, age) => {
        const { send, receive, result } = bench(shape)
        const frames = send(3, at)
        for (const frame of [...frames, frames[1]]) receive(frame, at + age / 1e6)
        const { sent, returned, duplicated, damaged, foreign, late, lost, min, max } = result()
        expect({ sent, returned, duplicated, damaged, foreign, late, lost }).toEqual({
          sent: 3,
          returned: 3,
          duplicated: 1,
          damaged: 0,
          foreign: 0,
          late: 0,
          lost: 0,
        })
        expect(Math.abs((min ?? NaN) - age / 1000)).toBeLessThan(0.01)
        expect(max).toBe(min)
      },
    ),
    { numRuns: 50 },
  )
})

test('keeps payload and sequence number where they are', () => {
  const [, frame] = bench().send(2, 1)
  expect(frame.toString('latin1', 42, 45)).toBe('ixy')
  expect(frame.readUInt32LE(56)).toBe(1)
})

test('no damage to the probe or its flow is taken for a measurement, nor for somebody else’s packet', () => {
  for (const { size, vlanId } of [60, 61, 62, 63, 64, 65, 1514].flatMap((size) => [
    { size, vlanId: null },
    { size, vlanId: 42 },
  ])) {
    const { send, receive, result } = bench({ size, vlanId })
    const tag = vlanId === null ? 0 : 4
    for (let at = 12; at < size; at++) {
      // Byte 48 may change: the free byte behind the nonce, or a part of the magic, where the free byte is of no use. So may
      // the tag.
      if (at === 48 || (tag > 0 && (at === 14 || at === 15 || (at === 52 && size >= 64)))) continue
      for (const change of at % 100 === 99 || at < 70 ? [1, 0x80, 0xff] : []) {
        const before = result()
        const [frame] = send(1, 10)
        frame[at] ^= change
        receive(frame, 11)
        const after = result()
        expect(after.returned).toBe(0)
        expect(after.damaged + after.foreign).toBe(before.damaged + before.foreign + 1)
        // Where the payload is can't be known any more once the tag is no tag.
        if (tag === 0 || at >= 18) expect(after.foreign).toBe(before.foreign)
      }
    }
  }
})

test.each([60, 61, 64, 100])('byte 48 of a frame of %i bytes may be touched, tagged or not', (size) => {
  for (const vlanId of [null, 42]) {
    const { send, receive, result } = bench({ size, vlanId })
    const [frame] = send(1, 1)
    frame[48]++
    receive(frame, 2)
    expect(result().returned).toBe(1)
  }
})

test('a router may change addresses and TTL, a switch take off the tag and fill up', () => {
  const { send, receive, result } = bench({ vlanId: 42 })
  const [routed, untagged] = send(2, 1)
  routed.fill(0x55, 0, 12)
  routed[26]--
  routed.writeUInt16BE(0, 28)
  routed.writeUInt16BE(internetChecksum(routed, 18, 20), 28)
  receive(routed, 2)
  receive(Buffer.concat([untagged.subarray(0, 12), untagged.subarray(16), Buffer.alloc(4)]), 2)
  expect(result()).toMatchObject({ returned: 2, damaged: 0, foreign: 0 })
})

test('another run’s packets, packets without stamps and others are foreign', () => {
  const { send, receive, result } = bench()
  send(1, 1)
  for (const frame of bench({ key: 0x12345678 }).send(20, 1)) receive(frame, 2)
  const plain = planFrames(DEFAULT_TEMPLATE, [60]).templates[0]
  receive(plain, 2)
  receive(new Uint8Array(60).fill(0xff), 2)
  receive(new Uint8Array(14), 2)
  receive(new Uint8Array(1514), 2)
  expect(result()).toMatchObject({ returned: 0, foreign: 24, damaged: 0, lost: 1, p50: null, max: null })
})

test('a stamp from before the run, or from later than now, is not believed', () => {
  const { send, receive, result } = bench()
  const [before, after] = [send(1, -1)[0], send(1, 5)[0]]
  receive(before, 2)
  receive(after, 4.9)
  expect(result()).toMatchObject({ returned: 0, damaged: 2 })
})

test('copies are known for a long window of numbers, also where these come around; what is older is late', () => {
  const { send, receive, result, memory } = bench({ of: 2 ** 25, flows: 1 })
  // Numbers 0, 2^25, 2 · 2^25, …, beyond 2^32.
  const frames = send(200, 1)
  for (const [i, frame] of frames.entries()) {
    receive(frame, 2)
    receive(frame, 2)
    expect(result()).toMatchObject({ returned: i + 1, duplicated: i + 1, late: 0 })
    if (i > 0) receive(frames[i - 1], 2) // 2^25 back
    expect(result().duplicated).toBe(2 * i + (i > 0 ? 2 : 1) - (i > 0 ? 1 : 0))
    if (i > 0) break
  }
  receive(frames[2], 2)
  receive(frames[0], 2) // 2^26 back
  expect(result()).toMatchObject({ returned: 3, late: 1 })
  for (const frame of frames.slice(3)) receive(frame, 2)
  expect(result()).toMatchObject({ returned: 200, late: 1 })
  expect(memory.available(0)).toBe(32)
})

test('several workers’ books are one', () => {
  const books = [10, 20, 30].map((nanoseconds) => {
    const book = new LatencyBook(LatencyBook.allocate())
    if (nanoseconds !== 20) for (let i = 0; i < 100; i++) book.measured(nanoseconds * 1000 + i)
    return book
  })
  const latency = latencyOf(books)
  expect(latency).toMatchObject({ count: 200, min: 10, max: 30.099, mean: 20.05 })
  expect(latency?.p50).toBeCloseTo(10.099, 1)
  expect(latency?.p99999).toBe(30.099)
  expect(latencyOf([])).toBeNull()
})
