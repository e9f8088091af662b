import fc from 'fast-check'
import { GeneratedFrames } from '../../../src/apps/pktgen/frame-source.ts'
import { LatencyProbe } from '../../../src/apps/pktgen/latency-probe.ts'
import { Arrivals } from '../../../src/apps/pktgen/arrivals.ts'
import {
  jitterOf,
  type Latency,
  LatencyBook,
  latencyOf,
  reorderingOf,
  RETURNED,
} from '../../../src/apps/pktgen/latency.ts'
import type { PacketMemory } from '../../../src/memory/packets.ts'
import { answerEcho, IcmpMessage } from '../../../src/packet/icmp.ts'
import { answerEcho6 } from '../../../src/packet/icmpv6.ts'
import { Ipv4Packet } from '../../../src/packet/ipv4.ts'
import { Ipv6Packet, parseIpv6 } from '../../../src/packet/ipv6.ts'
import { internetChecksum } from '../../../src/packet/checksum.ts'
import { probeLayoutOf } from '../../../src/apps/pktgen/probe-layout.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import { type Shape, shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import { DEFAULT_TEMPLATE } from '../../../src/packet/template.ts'
import { POOL, makeMemory, packet } from './memory.ts'
import { shapes as anyShape } from './shapes.ts'

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
  readonly books: () => readonly LatencyBook[]
}

const SURROUNDINGS = { mtu: 1500, payload: 0, called: (name: string) => name }

function bench({
  size = 60,
  vlanId = null as number | null,
  key = KEY,
  flows = 3,
  of = 1,
  index = 0,
  shape = null as Shape | null,
  senders = null as number | null,
} = {}): Bench {
  const memory = makeMemory()
  const books = [LatencyBook.allocate()]
  const plain = shapeOf({ size: [size], flows, ...(vlanId === null ? {} : { vlan: [vlanId] }) }, SURROUNDINGS)
  const { template, sizes, counts, order, seed } = shape ?? plain
  const probe = new LatencyProbe(
    memory,
    books.map((book) => new LatencyBook(book)),
    { key, layouts: [probeLayoutOf(template)] },
    senders ?? of,
  )
  probe.begin(START)
  const plan = planFrames(template, sizes, counts, order, seed)
  const source = new GeneratedFrames(memory, POOL, plan, { index, of })
  const one = new Int32Array(1)
  return {
    memory,
    send(count, at) {
      return Array.from({ length: count }, () => {
        expect(source.next(one, 1)).toBe(1)
        probe.stamp(one, 1, 0, Float64Array.of(START + at))
        const copy = Buffer.from(packet(memory, one[0]))
        memory.free(one, 0, 1)
        return copy
      })
    },
    receive(frame, at) {
      expect(memory.allocate(0, one, 1)).toBe(1)
      memory.size[one[0]] = frame.length
      memory.u8.set(frame, memory.dataOffset(one[0]))
      probe.collect(one, 1, Float64Array.of(START + at))
      memory.free(one, 0, 1)
    },
    books: () => books.map((book) => new LatencyBook(book)),
    result() {
      const latency = latencyOf(books.map((book) => new LatencyBook(book)))
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
  const { send, receive, result, memory } = bench({ of: 2 ** 25, flows: 1, senders: 1 })
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

/** With room for the stamp in all sizes. */
const roomy = anyShape.map((shape): Shape => ({ ...shape, sizes: shape.sizes.map((size) => size + 11) }))

test('whatever packets look like, they are measured when they come back, and their checksums hold', () => {
  fc.assert(
    fc.property(roomy, (shape) => {
      const { send, receive, result } = bench({ shape, of: 3, index: 1 })
      for (const frame of send(10, 1)) receive(frame, 2)
      // Of those that aren't believed some checksum is wrong.
      expect(result()).toMatchObject({ sent: 10, returned: 10, damaged: 0, foreign: 0, min: 1000, max: 1000 })
    }),
    { numRuns: 100 },
  )
})

test('no damage behind the Ethernet header goes unnoticed where there is a checksum', () => {
  const covered = roomy.filter(({ template: { protocol, udpChecksum, vxlan, vlans } }) => {
    return (protocol !== 'udp' || udpChecksum) && vxlan === null && vlans.length === 0
  })
  fc.assert(
    fc.property(covered, fc.nat(), fc.integer({ min: 1, max: 255 }), (shape, place, change) => {
      const { send, receive, result } = bench({ shape })
      const [frame] = send(1, 1)
      // Of IPv6 only what the pseudo header has, and lengths, is covered.
      const from = shape.template.sourceIp.length === 4 ? 14 : 22
      frame[from + (place % (frame.length - from))] ^= change
      receive(frame, 2)
      expect(result()).toMatchObject({ returned: 0 })
    }),
    { numRuns: 120 },
  )
})

test('a host’s echo reply is measured', () => {
  for (const srcIp of [Uint8Array.of(10, 0, 0, 1), parseIpv6('fd00::1')]) {
    const shape = shapeOf({ proto: 'icmp', size: [100], srcIp: { first: srcIp, count: 1 } }, SURROUNDINGS)
    const { send, receive, result } = bench({ shape })
    const [frame] = send(1, 1)
    const [ip4, ip6, icmp] = [new Ipv4Packet(), new Ipv6Packet(), new IcmpMessage()]
    const answered = ip4.wrap(frame, 14)
      ? answerEcho(ip4, icmp)
      : ip6.wrap(frame, 14) && answerEcho6(ip6, icmp)
    expect(answered).toBe(true)
    receive(frame, 2)
    expect(result()).toMatchObject({ returned: 1 })
  }
})

/** RFC 4737 §3.4 and §4.2.2, word by word: of what one sender has sent. */
function reordered(numbers: readonly number[]): number[] {
  return numbers.flatMap((number, i) => {
    const first = numbers.findIndex((other) => other > number)
    return first >= 0 && first < i ? [i - first] : []
  })
}

test('what was overtaken, and by how much, is as RFC 4737 has it, for each sender by itself', () => {
  const order = fc.array(fc.nat(60), { minLength: 1, maxLength: 120 })
  fc.assert(
    fc.property(order, fc.integer({ min: 1, max: 4 }), fc.nat(), (numbers, senders, start) => {
      const book = new LatencyBook(LatencyBook.allocate())
      const arrivals = new Arrivals(book, senders, 1)
      // Numbers that come around: what is left of them are 32 bits.
      const base = (start % 1000) * senders
      for (let k = 0; k < base; k += 1 << 24) arrivals.enter(k, 0)
      const before = reorderingOf([book], senders)
      expect(before.reordered).toBe(0)
      for (const number of numbers) arrivals.enter((base + number) | 0, 0)
      // Copies have no place of their own.
      const once = numbers.filter((number, i) => numbers.indexOf(number) === i)
      const extents = Array.from({ length: senders }, (_, sender) =>
        reordered(once.filter((number) => number % senders === sender)),
      ).flat()
      const { reordered: count, extentMean, extentMax, beyond } = reorderingOf([book], senders)
      expect([count, beyond]).toEqual([extents.length, 0])
      expect(extentMax).toBe(extents.length === 0 ? null : Math.max(...extents))
      const sum = extents.reduce((all, extent) => all + extent, 0)
      if (extents.length > 0) expect(extentMean).toBeCloseTo(sum / extents.length, 9)
    }),
    { numRuns: 120 },
  )
})

test('numbers beyond 32 bits belong to the sender whose turn it is', () => {
  const book = new LatencyBook(LatencyBook.allocate())
  const arrivals = new Arrivals(book, 3, 1)
  // Up to 2^32 in leaps that the window bears.
  for (let number = 0; number < 2 ** 32 - 4; number += 3 * 2 ** 22) arrivals.enter(number | 0, 0)
  const before = reorderingOf([book], 3).reordered
  // 2^32 + 2 and 2^32 - 1 are both the first sender's: 2^32 is one more than a multiple of three.
  arrivals.enter(2, 0)
  arrivals.enter(-1, 0)
  arrivals.enter(1, 0)
  const { reordered: count, extentMax } = reorderingOf([book], 3)
  expect([count - before, extentMax]).toEqual([1, 1])
})

test('how far a packet was overtaken is a lower limit where nobody remembers', () => {
  const book = new LatencyBook(LatencyBook.allocate())
  const arrivals = new Arrivals(book, 16, 16)
  for (let k = 1; k <= 5000; k++) arrivals.enter(k * 16, 0)
  arrivals.enter(0, 0)
  const { reordered: count, beyond, extentMax } = reorderingOf([book], 16)
  expect([count, beyond]).toEqual([1, 1])
  expect(extentMax).toBeLessThanOrEqual(5000)
  expect(extentMax).toBeGreaterThan(200)
})

test('jitter is the difference from one round trip to the next (RFC 3550)', () => {
  const book = new LatencyBook(LatencyBook.allocate())
  const arrivals = new Arrivals(book, 1, 1)
  expect(jitterOf([book])).toEqual({ mean: null, max: null, smoothed: null })
  const ages = [1000, 5000, 5000, 2000]
  ages.forEach((age, k) => arrivals.enter(k, age))
  // A copy is no packet of its own.
  arrivals.enter(0, 9000)
  let smoothed = 0
  for (const difference of [4000, 0, 3000]) smoothed += (difference - smoothed) / 16
  expect(jitterOf([book])).toEqual({ mean: 2.333, max: 4, smoothed: Math.round(smoothed) / 1000 })
  const other = new LatencyBook(LatencyBook.allocate())
  new Arrivals(other, 1, 1).enter(0, 1000)
  expect(jitterOf([book, other])).toEqual({ mean: 2.333, max: 4, smoothed: null })
})

test('streams are told apart, and no damage to one looks like another', () => {
  const memory = makeMemory()
  const books = Array.from({ length: 16 }, () => LatencyBook.allocate())
  const { template } = shapeOf({}, SURROUNDINGS)
  for (const size of [60, 100]) {
    const layouts = books.map(() => probeLayoutOf(size === 60 ? { ...template, vlans: [1] } : template))
    const probe = new LatencyProbe(
      memory,
      books.map((book) => new LatencyBook(book)),
      { key: KEY, layouts },
      1,
    )
    probe.begin(START)
    const plan = planFrames(size === 60 ? { ...template, vlans: [1] } : template, [size])
    const source = new GeneratedFrames(memory, POOL, plan, { index: 0, of: 1 })
    const one = new Int32Array(1)
    source.next(one, 1)
    const returned = (): number[] => books.map((book) => new LatencyBook(book).fields[RETURNED])
    books.forEach((_, stream) => {
      probe.stamp(one, 1, stream, Float64Array.of(START + 1))
      const whole = Buffer.from(packet(memory, one[0]))
      const before = returned()
      for (let at = 18; at < size; at++) {
        for (const change of at < 70 || at >= size - 4 ? [1, 2, 0x80, 0xff] : []) {
          packet(memory, one[0])[at] ^= change
          probe.collect(one, 1, Float64Array.of(START + 2))
          packet(memory, one[0])[at] ^= change
          // Byte 48 may change, and the free one.
          const others = returned().filter((count, other) => other !== stream && count !== before[other])
          if (others.length > 0)
            throw new Error(`byte ${at} ^ ${change} of stream ${stream} of ${size} bytes`)
        }
      }
      expect(Buffer.from(packet(memory, one[0])).equals(whole)).toBe(true)
      probe.collect(one, 1, Float64Array.of(START + 2))
      expect(returned()[stream]).toBe(1)
    })
    for (const book of books) new LatencyBook(book).fields.fill(0)
  }
})
