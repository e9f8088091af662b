import fc from 'fast-check'
import * as COUNTER from '../../../src/driver/tap/counters.ts'
import { OffloadFlag } from '../../../src/memory/offloads.ts'
import { build, cutByHand, large, type Large } from '../../packet/large-packets.ts'
import { EAGAIN, type Framed, NO_HEADER, Rig } from './rig.ts'

const NEEDS_CHECKSUM = 1
const CHECKSUM_IS_GOOD = 2

const gsoOf = ({ v6, udp }: Large): number => {
  if (udp) return 5
  return v6 ? 4 : 1
}

/** As the kernel leaves it whole. */
function whole(packet: Large): Framed {
  const { frame, checksumStart, checksumOffset, headerBytes } = build(packet, true)
  const { segment } = packet
  return {
    header: {
      flags: NEEDS_CHECKSUM,
      gso: gsoOf(packet),
      headerBytes,
      segment,
      checksumStart,
      checksumOffset,
    },
    frame,
  }
}

const small = (length: number, mark: number): Framed => ({
  header: NO_HEADER,
  frame: new Uint8Array(length).fill(mark),
})

let rig: Rig
afterEach(() => rig.close())

test('frames come as they are, those that come between two looks in one call included', () => {
  rig = new Rig()
  const frames = [small(14, 1), small(60, 2), small(1514, 3)]
  rig.incoming.push(frames[0])
  expect(rig.receiveAll(32)).toEqual([frames[0].frame])
  // By now it asks for several at a time.
  rig.incoming.push(frames[0], frames[1], frames[2], EAGAIN)
  expect(rig.receiveAll(32)).toHaveLength(3)
  rig.incoming.push(frames[0], EAGAIN, frames[1], frames[2])
  expect(rig.receiveAll(32)).toEqual(frames.map(({ frame }) => frame))
  expect(rig.rx.packets).toBe(7)
  expect(rig.rx.bytes).toBe(14 + 2 * (14 + 60 + 1514))
})

test('a large packet of TCP comes in packets as the sender would have sent them', () => {
  rig = new Rig()
  fc.assert(
    fc.property(
      fc.array(large(20_000), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 40 }),
      (packets, limit) => {
        const cut = packets.map((packet) => ({ ...packet, segment: Math.min(1300, packet.segment) }))
        rig.incoming.push(...cut.map(whole))
        expect(rig.receiveAll(limit)).toEqual(cut.flatMap(cutByHand))
        expect(rig.incoming).toEqual([])
      },
    ),
    { numRuns: 30 },
  )
  expect(rig.memory.available(0)).toBe(256 - 32)
})

test('what was read and not taken out yet is known in packets as they will come', () => {
  rig = new Rig()
  const one = fc.oneof(
    large(5000),
    fc.integer({ min: 14, max: 1514 }).map((length) => small(length, 1)),
  )
  let most = 0
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 1, max: 8 }),
      (all, limit) => {
        const pieces = new Map<Framed | number, readonly Uint8Array[]>()
        for (const framed of all) {
          if ('header' in framed) pieces.set(framed, [framed.frame])
          else {
            const cut = { ...framed, segment: Math.min(1300, framed.segment) }
            pieces.set(whole(cut), cutByHand(cut))
          }
        }
        rig.incoming.push(...pieces.keys())
        const batch = new Int32Array(limit)
        let coming = [...pieces.values()].flat()
        const wanted = coming
        const before = [rig.rx.packets, rig.rx.bytes]
        for (let count = -1; count !== 0;) {
          count = rig.rx.receive(batch, limit)
          rig.memory.free(batch, 0, count)
          coming = coming.slice(count)
          const unread = rig.incoming.flatMap((framed) => pieces.get(framed) ?? [])
          const untaken = coming.slice(0, coming.length - unread.length)
          expect(rig.rx.untaken()).toBe(untaken.length)
          const bytes = untaken.reduce((sum, { length }) => sum + length, 0)
          expect(rig.parts.counters[COUNTER.RX_UNTAKEN_BYTES]).toBe(bytes)
          most = Math.max(most, untaken.length)
        }
        expect(coming).toEqual([])
        const counted = [rig.rx.packets, rig.rx.bytes].map((count, i) => count - before[i])
        expect(counted).toEqual([wanted.length, wanted.reduce((sum, { length }) => sum + length, 0)])
      },
    ),
    { numRuns: 30 },
  )
  expect(most).toBeGreaterThan(8)
})

test('65535 bytes of IP in segments of 88 bytes, more than there are buffers', () => {
  rig = new Rig()
  const packet: Large = {
    v6: false,
    udp: false,
    tag: 5,
    ipOptions: 0,
    tcpOptions: 3,
    extended: false,
    identification: 65000,
    sequence: -100,
    flags: 0x98,
    payload: new Uint8Array(65535 - 52).map((_, i) => i % 251),
    segment: 88,
  }
  const wanted = cutByHand(packet)
  rig.incoming.push(whole(packet), small(60, 7))
  const batch = new Int32Array(300)
  const got: Uint8Array[] = []
  // Nobody frees any: it stops when the pool is empty, and nothing is lost.
  const held = rig.rx.receive(batch, 300)
  expect(held).toBe(256 - 32)
  expect(rig.rx.untaken()).toBe(wanted.length - held)
  expect(rig.parts.counters[COUNTER.RX_UNTAKEN_BYTES]).toBe(
    wanted.slice(held).reduce((sum, { length }) => sum + length, 0),
  )
  expect(rig.rx.receive(batch.subarray(held), 76)).toBe(0)
  for (const id of batch.subarray(0, held)) got.push(rig.bytesOf(id))
  rig.memory.free(batch, 0, held)
  got.push(...rig.receiveAll(32))
  expect(got).toHaveLength(wanted.length + 1)
  expect(got.slice(0, -1)).toEqual(wanted)
  expect(rig.rx.packets).toBe(wanted.length + 1)
})

test('an open checksum is completed for those who do not know of it, and told to the others', () => {
  fc.assert(
    fc.property(large(1200), fc.boolean(), (packet, offloads) => {
      rig = new Rig({ offloads })
      const framed = whole({ ...packet, ipOptions: 0 })
      // The kernel has IP's checksum right.
      const complete = build({ ...packet, ipOptions: 0 }, false)
      framed.frame.set(complete.frame.subarray(0, complete.checksumStart))
      rig.incoming.push({ ...framed, header: { ...framed.header, gso: 0, segment: 0 } })
      const batch = new Int32Array(1)
      expect(rig.rx.receive(batch, 1)).toBe(1)
      expect(rig.bytesOf(batch[0])).toEqual(offloads ? framed.frame : complete.frame)
      if (offloads) {
        const { flags, checksumStart, checksumOffset, segment } = rig.memory.offloads ?? fail()
        expect([flags, checksumStart, checksumOffset, segment].map((of) => of[batch[0]])).toEqual([
          OffloadFlag.CHECKSUM_OPEN,
          framed.header.checksumStart,
          framed.header.checksumOffset,
          0,
        ])
      }
      rig.close()
    }),
    { numRuns: 20 },
  )
})

test('what the kernel has found right is told', () => {
  rig = new Rig({ offloads: true })
  const one = small(60, 1)
  rig.incoming.push({ ...one, header: { ...NO_HEADER, flags: CHECKSUM_IS_GOOD } })
  rig.receiveAll(1)
  rig.incoming.push(one)
  rig.receiveAll(1)
  const told = [...(rig.memory.offloads?.flags ?? [])].filter((flags) => flags !== 0)
  expect(told).toEqual([OffloadFlag.CHECKSUM_GOOD])
})

test('what is too long, too short or contradicts itself is dropped and counted', () => {
  rig = new Rig()
  const tcp = whole({
    v6: true,
    udp: false,
    tag: null,
    ipOptions: 0,
    tcpOptions: 0,
    extended: false,
    identification: 0,
    sequence: 0,
    flags: 0x10,
    payload: new Uint8Array(9000),
    segment: 1460,
  })
  const with_ = (header: Partial<Framed['header']>): Framed => ({
    ...tcp,
    header: { ...tcp.header, ...header },
  })
  rig.incoming.push(small(60, 1))
  rig.receiveAll(1)
  rig.incoming.push(small(1600, 1), small(13, 1), small(60, 2))
  expect(rig.receiveAll(32)).toEqual([small(60, 2).frame])
  expect([rig.rx.fragments, rig.rx.badLength]).toEqual([1, 1])
  expect(rig.parts.counters[COUNTER.RX_DROPPED_BYTES]).toBe(1613)
  rig.incoming.push(
    with_({ segment: 0 }),
    with_({ segment: 1500 }),
    with_({ checksumStart: 9100 }),
    with_({ checksumStart: 60 }),
    with_({ checksumOffset: 6 }),
    { header: { ...NO_HEADER, flags: 1, checksumStart: 50, checksumOffset: 16 }, frame: new Uint8Array(60) },
    small(60, 3),
  )
  expect(rig.receiveAll(32)).toEqual([small(60, 3).frame])
  expect([rig.rx.fragments, rig.rx.badLength]).toEqual([2, 6])
  expect(rig.parts.counters[COUNTER.RX_PACKETS]).toBe(3)
})

test('no packet comes in before the main thread lets them, nor afterwards', () => {
  rig = new Rig()
  rig.parts.counters[COUNTER.RECEIVING] = 0
  rig.incoming.push(small(60, 1))
  expect(rig.rx.receive(new Int32Array(32), 32)).toBe(0)
  expect(rig.reads).toBe(0)
})
