/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../split-rx.ts, where the algorithm is explained. One instance for each
 * queue. Addresses are bytes from the start of the memory that it shares with JavaScript.
 */
import { BAD_LENGTH, FRAGMENTS, POOL_EMPTY, RX_BYTES, RX_PACKETS, RX_UNTAKEN } from '../counters'
import { NO_INTERRUPT, NO_NOTIFY, WRITE } from '../queue-words'
import { IOVA, SIZE } from '../../../memory/wasm-layout'

/** Rings the doorbell, imported from JavaScript. */
declare function kick(): void

/** All of these are imported as well. Where the parts of the queue are: descriptors, available ring and used ring from their entries on. */
declare const descriptorsAt: usize
declare const availableAt: usize
declare const usedAt: usize
declare const usedEventAt: usize
declare const availableEventAt: usize
declare const idsAt: usize
declare const countersAt: usize
/** Data of the first packet buffer. */
declare const packetsAt: usize
declare const bufferShift: usize
declare const mask: i32
declare const slots: i32
/** The pool's stack of free ids, and the number of them. */
declare const stackAt: usize
declare const topAt: usize
/** Bytes of the longest packet that fits a buffer. */
declare const longest: u32
declare const headerBytes: u32
declare const mergeable: bool
declare const eventIndex: bool
declare const interrupts: bool

/** Elements of the used ring taken out, modulo 2^16. */
let taken: i32 = 0
/** Parts still to come of a packet that is too large. */
let rest: i32 = 0

function count(counter: usize, amount: f64): void {
  const at = countersAt + counter * 8
  store<f64>(at, load<f64>(at) + amount)
}

/** Arms all slots with fresh buffers. The queue's memory is 0. */
export function start(): void {
  taken = 0
  rest = 0
  let free = stackAt + (load<u32>(topAt) << 1)
  for (let slot: usize = 0; slot < <usize>slots; slot++) {
    free -= 2
    const id = load<u16>(free)
    store<u16>(idsAt + (slot << 1), id)
    const descriptor = descriptorsAt + (slot << 4)
    arm(descriptor, id)
    store<u32>(descriptor, headerBytes + longest, 8)
    store<u32>(descriptor, WRITE, 12)
    store<u16>(availableAt + (slot << 1), <u16>slot)
  }
  store<i32>(topAt, load<i32>(topAt) - slots)
  store<u16>(availableAt - 4, <u16>(interrupts ? 0 : NO_INTERRUPT))
  atomic.store<u16>(availableAt - 2, <u16>slots)
}

function arm(descriptor: usize, id: usize): void {
  store<u64>(descriptor, load<u64>(id << 3, IOVA) - headerBytes)
}

/** num_buffers of the header in front of packet `id`. */
function partsOf(id: usize): u32 {
  return load<u16>(packetsAt + (id << bufferShift) + ((id & 7) << 6), 62)
}

function usedIndex(): i32 {
  return atomic.load<u16>(usedAt - 2)
}

/** Elements that are looked at together. */
const GROUP = 4

/**
 * Puts the ids of up to `limit` packets into the 32-bit words at `batch`; returns how many.
 *
 * A device that gives slots back in the order in which it got them, as most do, has them in a row: then four are taken together.
 */
export function receive(batch: usize, limit: i32): i32 {
  const first = taken
  let amount = (usedIndex() - first) & 0xffff
  if (amount > limit) amount = limit
  if (amount <= 0) return 0
  const top = load<i32>(topAt)
  if (top < amount || rest !== 0) return receiveOneByOne(batch, first, amount)
  store<i32>(topAt, top - amount)
  // V8 reads globals anew each time.
  const ids = idsAt
  const descriptors = descriptorsAt
  const available = availableAt
  const used = usedAt
  const ringMask: usize = <usize>mask
  const slotCount: usize = <usize>slots
  const slotMask = <u32>slots - 1
  const merging = mergeable
  const data = packetsAt
  const shift = bufferShift
  const header = headerBytes
  const from = batch
  const lastGroup = ringMask + 1 - GROUP
  const lastSlots = <u32>slots - GROUP
  let free = stackAt + ((<usize>top) << 1)
  let sum: u32 = 0
  let odd: u32 = 0
  let parts: u32 = 0
  let sums = i32x4.splat(0)
  let odds = i32x4.splat(0)
  let at: usize = <usize>first
  const end = batch + ((<usize>amount) << 2)
  while (batch < end) {
    const position = at & ringMask
    const next = (at + slotCount) & ringMask
    const element = used + (position << 3)
    if (batch + GROUP * 4 <= end && position <= lastGroup && next <= lastGroup) {
      const ab = v128.load(element)
      const cd = v128.load(element, 16)
      const elements = v128.shuffle<i32>(ab, cd, 0, 2, 4, 6)
      const slot: usize = load<u32>(element)
      const inOrder = i32x4.all_true(i32x4.eq(elements, i32x4.add(i32x4.splat(<i32>slot), i32x4(0, 1, 2, 3))))
      if (inOrder && <u32>slot <= lastSlots) {
        const lengths = i32x4.sub(v128.shuffle<i32>(ab, cd, 1, 3, 5, 7), i32x4.splat(<i32>header))
        const place = ids + (slot << 1)
        const four = v128.load_ext<u16>(place)
        v128.store(batch, four)
        free -= GROUP * 2
        const fresh = load<u64>(free)
        store<u64>(place, fresh)
        v128.store64_lane(available + (next << 1), i16x8.narrow_i32x4_u(elements, elements), 0)
        sums = i32x4.add(sums, lengths)
        odds = v128.or(odds, i32x4.sub(lengths, i32x4.splat(1)))
        const a: usize = i32x4.extract_lane(four, 0)
        const b: usize = i32x4.extract_lane(four, 1)
        const c: usize = i32x4.extract_lane(four, 2)
        const d: usize = i32x4.extract_lane(four, 3)
        v128.store16_lane(a << 1, lengths, 0, SIZE)
        v128.store16_lane(b << 1, lengths, 2, SIZE)
        v128.store16_lane(c << 1, lengths, 4, SIZE)
        v128.store16_lane(d << 1, lengths, 6, SIZE)
        if (merging) {
          parts |=
            ((<u32>load<u16>(data + (a << shift) + ((a & 7) << 6), 62)) ^ 1) |
            ((<u32>load<u16>(data + (b << shift) + ((b & 7) << 6), 62)) ^ 1) |
            ((<u32>load<u16>(data + (c << shift) + ((c & 7) << 6), 62)) ^ 1) |
            ((<u32>load<u16>(data + (d << shift) + ((d & 7) << 6), 62)) ^ 1)
        }
        const descriptor = descriptors + (slot << 4)
        store<u64>(descriptor, load<u64>((<usize>(fresh & 0xffff)) << 3, IOVA) - header)
        store<u64>(descriptor, load<u64>((<usize>((fresh >> 16) & 0xffff)) << 3, IOVA) - header, 16)
        store<u64>(descriptor, load<u64>((<usize>((fresh >> 32) & 0xffff)) << 3, IOVA) - header, 32)
        store<u64>(descriptor, load<u64>((<usize>(fresh >> 48)) << 3, IOVA) - header, 48)
        batch += GROUP * 4
        at += GROUP
        continue
      }
    }
    const slot: usize = load<u32>(element) & slotMask
    const length = load<u32>(element, 4) - header
    const place = ids + (slot << 1)
    const id: usize = load<u16>(place)
    free -= 2
    const fresh: usize = load<u16>(free)
    store<u16>(place, fresh)
    store<u16>(id << 1, length, SIZE)
    store<u32>(batch, id)
    sum += length
    odd |= length - 1
    if (merging) parts |= (<u32>load<u16>(data + (id << shift) + ((id & 7) << 6), 62)) ^ 1
    store<u64>(descriptors + (slot << 4), load<u64>(fresh << 3, IOVA) - header)
    store<u16>(available + (next << 1), <u16>slot)
    batch += 4
    at++
  }
  sum +=
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3)
  odd |=
    i32x4.extract_lane(odds, 0) |
    i32x4.extract_lane(odds, 1) |
    i32x4.extract_lane(odds, 2) |
    i32x4.extract_lane(odds, 3)
  let packets = amount
  // No bit in any of them, so all of them fit; otherwise one of them may not, or is a part only.
  if (odd >= longest || parts !== 0) {
    packets = sift(from, first, amount)
    sum = 0
    for (let i: usize = 0; i < <usize>packets; i++)
      sum += load<u16>((<usize>load<u32>(from + (i << 2))) << 1, SIZE)
  }
  finish(first, amount, packets, sum)
  return packets
}

const WHOLE = -1
const FURTHER_PART = -2

/** What is wrong with element `at` of the used ring, whose buffer is `id`: the number of a counter, WHOLE, or FURTHER_PART. */
function fault(at: i32, id: usize): i32 {
  if (rest > 0) {
    rest--
    return FURTHER_PART
  }
  const length = load<u32>(usedAt + ((<usize>(at & mask)) << 3), 4) - headerBytes
  const parts: i32 = mergeable ? partsOf(id) : 1
  if (parts > 1) {
    rest = parts - 1
    return FRAGMENTS
  }
  return parts === 1 && length - 1 < longest ? WHOLE : BAD_LENGTH
}

/** Drops those of the batch that are no whole packet; returns how many are left. */
function sift(batch: usize, first: i32, amount: i32): i32 {
  let left = batch
  for (let i = 0; i < amount; i++) {
    const id = load<u32>(batch + ((<usize>i) << 2))
    const wrong = fault(first + i, id)
    if (wrong === WHOLE) {
      store<u32>(left, id)
      left += 4
      continue
    }
    if (wrong >= 0) count(<usize>wrong, 1)
    const top = load<i32>(topAt)
    store<u16>(stackAt + ((<usize>top) << 1), id)
    store<i32>(topAt, top + 1)
  }
  return <i32>((left - batch) >> 2)
}

/** The same for elements some of which have to be dropped: their buffers stay in their slots. */
function receiveOneByOne(batch: usize, first: i32, amount: i32): i32 {
  let packets = 0
  let sum: u32 = 0
  for (let i = 0; i < amount; i++) {
    const at = first + i
    const element = usedAt + ((<usize>(at & mask)) << 3)
    const slot: usize = load<u32>(element) & (slots - 1)
    const id: usize = load<u16>(idsAt + (slot << 1))
    const wrong = fault(at, id)
    const top = load<i32>(topAt)
    if (wrong >= 0) count(<usize>wrong, 1)
    else if (wrong === WHOLE && top === 0) count(POOL_EMPTY, 1)
    else if (wrong === WHOLE) {
      const fresh: usize = load<u16>(stackAt + ((<usize>(top - 1)) << 1))
      store<i32>(topAt, top - 1)
      store<u16>(idsAt + (slot << 1), fresh)
      const length = load<u32>(element, 4) - headerBytes
      store<u16>(id << 1, length, SIZE)
      sum += length
      store<u32>(batch + ((<usize>packets) << 2), id)
      packets++
      arm(descriptorsAt + (slot << 4), fresh)
    }
    store<u16>(availableAt + ((<usize>((at + slots) & mask)) << 1), <u16>slot)
  }
  finish(first, amount, packets, sum)
  return packets
}

function finish(first: i32, amount: i32, packets: i32, bytes: u32): void {
  taken = (first + amount) & 0xffff
  const available = (taken + slots) & 0xffff
  count(RX_PACKETS, packets)
  count(RX_BYTES, bytes)
  store<f64>(countersAt + RX_UNTAKEN * 8, 0)
  if (eventIndex && interrupts) store<u16>(usedEventAt, <u16>taken)
  atomic.store<u16>(availableAt - 2, <u16>available)
  if (eventIndex) {
    if (((available - <i32>atomic.load<u16>(availableEventAt) - 1) & 0xffff) < amount) kick()
  } else if ((atomic.load<u16>(usedAt - 4) & NO_NOTIFY) === 0) kick()
}

/** Packets that the device has put into the ring and that nobody has taken out. */
export function untaken(): i32 {
  const ready = (usedIndex() - taken) & 0xffff
  let packets = 0
  let parts = rest
  for (let i = 0; i < min(ready, slots); i++) {
    if (parts > 0) {
      parts--
      continue
    }
    packets++
    if (!mergeable) continue
    const slot: usize = load<u32>(usedAt + ((<usize>((taken + i) & mask)) << 3)) & (slots - 1)
    parts = <i32>partsOf(load<u16>(idsAt + (slot << 1))) - 1
  }
  store<f64>(countersAt + RX_UNTAKEN * 8, packets)
  return packets
}
