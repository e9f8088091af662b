/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../split-tx.ts, where the algorithm is explained. One instance for each
 * queue. Addresses are bytes from the start of the memory that it shares with JavaScript.
 */
import { TX_BYTES, TX_DONE_BYTES, TX_DONE_PACKETS, TX_PACKETS } from '../counters'
import { NO_INTERRUPT, NO_NOTIFY, SHORTEST } from '../queue-words'
import { FREE_STACK, FREE_TOP, IOVA, SIZE } from '../../../memory/wasm-layout'

/** Rings the doorbell, imported from JavaScript. */
declare function kick(): void
/** PacketMemory.pad(), imported from JavaScript. */
declare function padPacket(id: i32, length: i32): void
/** These throw (memory/refusals.ts). */
declare function refuseStranger(id: i32): void
declare function refuseTooLong(id: i32): void
declare function refuseSurplus(id: i32): void

/** All of these are imported as well. Where the parts of the queue are: descriptors, available ring and used ring from their entries on. */
declare const descriptorsAt: usize
declare const availableAt: usize
declare const usedAt: usize
declare const availableEventAt: usize
/** Buffer id behind each slot, and the queue of free slots: the one that is offered as number n stands at n modulo their number. */
declare const idsAt: usize
declare const slotsAt: usize
declare const countersAt: usize
/** Data of the first packet buffer. */
declare const packetsAt: usize
declare const bufferShift: usize
declare const poolShift: usize
declare const mask: i32
declare const slots: i32
/** How many there are. */
declare const buffers: u32
/** Bytes of the longest packet that fits a buffer. */
declare const longest: i32
declare const headerBytes: u32
declare const eventIndex: bool

/** Slots made available and elements of the used ring taken out, modulo 2^16. */
let offered: i32 = 0
let taken: i32 = 0

/** Slots, ids, descriptors and elements that are looked at together. */
const GROUP = 4
/** Four slots in a row, less the first of them. */
const IN_ORDER: u64 = 0x0003_0002_0001_0000
const ONES: u64 = 0x0001_0001_0001_0001

function count(counter: usize, amount: f64): void {
  const at = countersAt + counter * 8
  store<f64>(at, load<f64>(at) + amount)
}

/** All slots are free. The queue's memory is 0. */
export function start(): void {
  offered = 0
  taken = 0
  for (let slot = 0; slot < slots; slot++) store<u16>(slotsAt + ((<usize>slot) << 1), <u16>slot)
  store<u16>(availableAt - 4, NO_INTERRUPT)
}

/** Slots that the device has. */
function held(): i32 {
  return (offered - taken) & 0xffff
}

/**
 * Fills descriptors for the up to `amount` ids in the 32-bit words at `batch`; returns how many. An id that is none is refused before
 * it is used, as a header would be written where no packet is.
 *
 * A device that gives slots back in the order in which it got them, as most do, leaves the free ones in a row: then four are filled
 * together.
 */
export function transmit(batch: usize, amount: i32): i32 {
  let accepted = slots - held() - 1
  if (accepted < amount) accepted = room()
  if (accepted > amount) accepted = amount
  if (accepted <= 0) return 0
  const from = batch
  // V8 reads globals anew each time.
  const most = buffers
  const header = headerBytes
  const ids = idsAt
  const free = slotsAt
  const descriptors = descriptorsAt
  const available = availableAt
  const ringMask: usize = <usize>mask
  const slotMask: usize = <usize>slots - 1
  const packets = packetsAt
  const shift = bufferShift
  const lastGroup = ringMask + 1 - GROUP
  const lastSlots = slotMask + 1 - GROUP
  const wrapped = i64x2.replace_lane(i64x2.splat(-(<i64>header)), 1, header)
  let at: usize = <usize>offered
  let sum: u32 = 0
  let odd: i32 = 0
  const end = batch + ((<usize>accepted) << 2)
  while (batch < end) {
    const position = at & slotMask
    const next = at & ringMask
    if (batch + GROUP * 4 <= end && position <= lastSlots && next <= lastGroup) {
      const together = load<u64>(free + (position << 1))
      const slot = <usize>(together & 0xffff)
      if (together - <u64>slot * ONES === IN_ORDER) {
        const four = v128.load(batch)
        if (v128.any_true(i32x4.ge_u(four, i32x4.splat(<i32>most)))) verify(from, accepted)
        v128.store64_lane(ids + (slot << 1), i16x8.narrow_i32x4_u(four, four), 0)
        store<u64>(available + (next << 1), together)
        const descriptor = descriptors + (slot << 4)
        const a = fill(descriptor, load<u16>(batch), wrapped, packets, shift)
        const b = fill(descriptor + 16, load<u16>(batch, 4), wrapped, packets, shift)
        const c = fill(descriptor + 32, load<u16>(batch, 8), wrapped, packets, shift)
        const d = fill(descriptor + 48, load<u16>(batch, 12), wrapped, packets, shift)
        sum += a + b + c + d
        odd |= (<i32>a - SHORTEST) | (<i32>b - SHORTEST) | (<i32>c - SHORTEST) | (<i32>d - SHORTEST)
        batch += GROUP * 4
        at += GROUP
        continue
      }
    }
    const id: usize = load<u32>(batch)
    if (<u32>id >= most) verify(from, accepted)
    const slot: usize = load<u16>(free + (position << 1))
    store<u16>(ids + (slot << 1), <u16>id)
    store<u16>(available + (next << 1), <u16>slot)
    const length = fill(descriptors + (slot << 4), id, wrapped, packets, shift)
    sum += length
    odd |= <i32>length - SHORTEST
    batch += 4
    at++
  }
  // No bit in any of them, so all of them fit; otherwise one of them may not. What the device hasn't been told of is as good as not
  // done, so all of it can still be refused.
  if (<u32>odd > <u32>(longest - SHORTEST)) {
    verify(from, accepted)
    if (odd < 0) sum += pad(from, accepted)
  }
  offered = (offered + accepted) & 0xffff
  count(TX_PACKETS, accepted)
  count(TX_BYTES, sum)
  atomic.store<u16>(availableAt - 2, <u16>offered)
  if (eventIndex) {
    if (((offered - <i32>atomic.load<u16>(availableEventAt) - 1) & 0xffff) < accepted) kick()
  } else if ((atomic.load<u16>(usedAt - 4) & NO_NOTIFY) === 0) kick()
  return accepted
}

/**
 * The address less the header's bytes, the length and these; and an empty header in front of the packet, as nothing is left for the
 * device to do (virtio 1.2 §5.1.6.2). Returns the packet's length.
 */
function fill(descriptor: usize, id: usize, header: v128, packets: usize, shift: usize): u32 {
  const length: u32 = load<u16>(id << 1, SIZE)
  v128.store(descriptor, i64x2.add(i64x2.replace_lane(v128.load_zero<u64>(id << 3, IOVA), 1, length), header))
  v128.store(packets + (id << shift) + ((id & 7) << 6), i64x2(0, 0), 48)
  return length
}

/** Throws if one of the `amount` ids at `batch` is no packet's, or one of the packets is longer than its buffer. */
function verify(batch: usize, amount: i32): void {
  for (const end = batch + ((<usize>amount) << 2); batch < end; batch += 4) {
    const id = load<u32>(batch)
    if (id >= buffers) refuseStranger(id)
    if (<i32>load<u16>((<usize>id) << 1, SIZE) > longest) refuseTooLong(id)
  }
}

/** Brings those packets of the batch that are too short to the least length; returns the bytes added. */
function pad(batch: usize, amount: i32): u32 {
  let added: u32 = 0
  let at = offered
  for (const end = batch + ((<usize>amount) << 2); batch < end; batch += 4, at++) {
    const id: usize = load<u32>(batch)
    const length: i32 = load<u16>(id << 1, SIZE)
    if (length >= SHORTEST) continue
    added += SHORTEST - length
    padPacket(<i32>id, SHORTEST)
    const slot: usize = load<u16>(slotsAt + ((<usize>(at & (slots - 1))) << 1))
    store<u32>(descriptorsAt + (slot << 4), SHORTEST + headerBytes, 8)
  }
  return added
}

/** Frees the packets that the device has given back; returns how many transmit() would take now. */
export function room(): i32 {
  const from = taken
  let amount = (<i32>atomic.load<u16>(usedAt - 2) - from) & 0xffff
  if (amount === 0) return slots - held() - 1
  // More than were given to it can't come back.
  amount = min(amount, held())
  // V8 reads globals anew each time.
  const used = usedAt
  const ids = idsAt
  const free = slotsAt
  const shift = poolShift
  const ringMask: usize = <usize>mask
  const slotMask: usize = <usize>slots - 1
  const most = 1 << (<i32>shift)
  const lastGroup = ringMask + 1 - GROUP
  const lastSlots = slotMask + 1 - GROUP
  let surplus: i32 = -1
  let pool: usize = -1
  let top: i32 = 0
  let stack: usize = 0
  let sum: u32 = 0
  let at: usize = <usize>from
  const end = at + <usize>amount
  while (at < end) {
    const position = at & ringMask
    const place = at & slotMask
    const element = used + (position << 3)
    const slot = (<usize>load<u32>(element)) & slotMask
    const id: usize = load<u16>(ids + (slot << 1))
    if (id >> shift !== pool) {
      if (pool !== <usize>-1) store<i32>(<usize>FREE_TOP + (pool << 2), top)
      pool = id >> shift
      top = load<i32>(<usize>FREE_TOP + (pool << 2))
      stack = <usize>FREE_STACK + ((pool << shift) << 1)
    }
    if (
      at + GROUP <= end &&
      position <= lastGroup &&
      place <= lastSlots &&
      slot <= lastSlots &&
      top <= most - GROUP
    ) {
      const elements = v128.shuffle<i32>(v128.load(element), v128.load(element, 16), 0, 2, 4, 6)
      const inOrder = i32x4.eq(elements, i32x4.add(i32x4.splat(<i32>slot), i32x4(0, 1, 2, 3)))
      const packed = load<u64>(ids + (slot << 1))
      const four = v128.load_ext<u16>(ids + (slot << 1))
      const samePool = i32x4.eq(i32x4.shr_u(four, <i32>shift), i32x4.splat(<i32>pool))
      if (i32x4.all_true(v128.and(inOrder, samePool))) {
        store<u64>(stack + ((<usize>top) << 1), packed)
        store<u64>(free + (place << 1), <u64>slot * ONES + IN_ORDER)
        sum +=
          <u32>load<u16>((<usize>(packed & 0xffff)) << 1, SIZE) +
          <u32>load<u16>((<usize>((packed >> 16) & 0xffff)) << 1, SIZE) +
          <u32>load<u16>((<usize>((packed >> 32) & 0xffff)) << 1, SIZE) +
          <u32>load<u16>((<usize>(packed >> 48)) << 1, SIZE)
        top += GROUP
        at += GROUP
        continue
      }
    }
    store<u16>(free + (place << 1), <u16>slot)
    sum += <u32>load<u16>(id << 1, SIZE)
    // No room: something has been freed twice.
    if (top === most) surplus = <i32>id
    else {
      store<u16>(stack + ((<usize>top) << 1), <u16>id)
      top++
    }
    at++
  }
  if (pool !== <usize>-1) store<i32>(<usize>FREE_TOP + (pool << 2), top)
  taken = (from + amount) & 0xffff
  count(TX_DONE_PACKETS, amount)
  count(TX_DONE_BYTES, sum)
  if (surplus !== -1) refuseSurplus(surplus)
  return slots - held() - 1
}

export function pending(): i32 {
  room()
  return held()
}
