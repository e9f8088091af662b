/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../tx-ring.ts, where the algorithm is explained. One instance
 * for each ring. Addresses are bytes from the start of the memory that it shares with JavaScript.
 */
import {
  TX_DD,
  TX_DEXT,
  TX_DTYP_DATA,
  TX_EOP,
  TX_IFCS,
  TX_PAYLEN_SHIFT,
  TX_RS,
  TX_SHORTEST,
} from '../descriptors'
import { BYTES, PACKETS } from '../counters'
import { FREE_STACK, FREE_TOP, IOVA, SIZE } from '../../../memory/wasm-layout'

const COMMAND: u64 = TX_DEXT | TX_IFCS | TX_EOP | TX_DTYP_DATA

/** Descriptors that are filled together. */
const GROUP = 4
/** In the place of a pool: several. */
const MIXED: u32 = 0xffff

/**
 * Where the descriptors are, and for each the id of its buffer and, if a batch starts there, a word with the pool of its
 * packets and the index of its last descriptor.
 */
let ringAt: usize = 0
let idsAt: usize = 0
let batchesAt: usize = 0
let ringMask: i32 = 0
/** Next descriptor to fill, and oldest one not yet freed. */
let index: i32 = 0
let oldest: i32 = 0
let poolShift: i32 = 0
/** How many there are. */
let buffers: u32 = 0
/** Bytes of the longest packet that fits a buffer. */
let longest: i32 = 0

/** PacketMemory.pad(), imported from JavaScript. */
declare function padPacket(id: i32, length: i32): void
/** These throw (memory/refusals.ts). */
declare function refuseStranger(id: i32): void
declare function refuseTooLong(id: i32): void
declare function refuseSurplus(id: i32): void

/** Two counters of 64 bits: packets, bytes. */
let countersAt: usize = 0

export function start(
  ring: usize,
  ids: usize,
  batches: usize,
  counters: usize,
  entries: i32,
  shift: i32,
  bufferCount: i32,
  maxLength: i32,
): void {
  ringAt = ring
  idsAt = ids
  batchesAt = batches
  ringMask = entries - 1
  poolShift = shift
  buffers = bufferCount
  longest = maxLength
  index = 0
  oldest = 0
  countersAt = counters
  memory.fill(counters, 0, 16)
  memory.fill(ring, 0, (<usize>entries) << 4)
}

/**
 * Fills descriptors for the up to `count` ids in the 32-bit words at `batch`; returns how many. Ids have 16 bits: with what
 * is above them, whatever it is, nothing is done until it is refused.
 */
export function transmit(batch: usize, count: i32): i32 {
  const mask = ringMask
  const first = index
  let accepted = (oldest - first - 1) & mask
  if (accepted < count) accepted = room()
  if (accepted > count) accepted = count
  if (accepted <= 0) return 0

  const shift = poolShift
  const from = batch
  const pool = load<u32>(batch) >> shift
  let strangers: u32 = 0
  let sum: u32 = 0
  let odd: i32 = 0
  let at = first
  let left = accepted
  do {
    // Up to the end of the ring, then from its beginning.
    let descriptor = ringAt + ((<usize>at) << 4)
    let slot = idsAt + ((<usize>at) << 1)
    let stretch = min(left, mask + 1 - at)
    left -= stretch
    at = (at + stretch) & mask
    if (stretch >= GROUP) {
      let others = i32x4.splat(0)
      do {
        const ids = v128.load(batch)
        others = v128.or(others, v128.xor(i32x4.shr_u(ids, shift), i32x4.splat(pool)))
        v128.store64_lane(slot, i16x8.narrow_i32x4_u(ids, ids), 0)
        const length0 = fill(descriptor, load<u16>(batch))
        const length1 = fill(descriptor + 16, load<u16>(batch, 4))
        const length2 = fill(descriptor + 32, load<u16>(batch, 8))
        const length3 = fill(descriptor + 48, load<u16>(batch, 12))
        sum += length0 + length1 + length2 + length3
        odd |=
          (length0 - TX_SHORTEST) |
          (length1 - TX_SHORTEST) |
          (length2 - TX_SHORTEST) |
          (length3 - TX_SHORTEST)
        batch += GROUP * 4
        descriptor += GROUP * 16
        slot += GROUP * 2
        stretch -= GROUP
      } while (stretch >= GROUP)
      strangers |= <u32>v128.any_true(others)
    }
    for (; stretch > 0; stretch--) {
      strangers |= (load<u32>(batch) >> shift) ^ pool
      const id: usize = load<u16>(batch)
      store<u16>(slot, id)
      const length = fill(descriptor, id)
      sum += length
      odd |= length - TX_SHORTEST
      batch += 4
      descriptor += 16
      slot += 2
    }
  } while (left > 0)
  // No bit in any of them, so all of them fit; otherwise one of them may not. What the card hasn't been told of is as good
  // as not done, so all of it can still be refused.
  if (<u32>odd > <u32>(longest - TX_SHORTEST) || strangers !== 0 || pool >= buffers >> shift) {
    verify(from, accepted)
    if (odd < 0) sum += pad(first, accepted)
  }
  const last = (at - 1) & mask
  // Made anew, as reading a part of what was just stored as a whole makes the CPU wait for the store.
  const length: u32 = load<u16>((<usize>load<u16>(batch - 4)) << 1, SIZE)
  store<u32>(ringAt + ((<usize>last) << 4), (<u32>COMMAND) | TX_RS | length, 8)
  store<u32>(batchesAt + ((<usize>first) << 2), (<u32>last) | ((strangers !== 0 ? MIXED : pool) << 16))
  index = at
  const counters = countersAt
  store<i64>(counters + PACKETS * 8, load<i64>(counters + PACKETS * 8) + accepted)
  store<i64>(counters + BYTES * 8, load<i64>(counters + BYTES * 8) + sum)
  return accepted
}

/** Throws if one of the `count` ids at `batch` is no packet's, or one of the packets is longer than its buffer. */
function verify(batch: usize, count: i32): void {
  for (const end = batch + ((<usize>count) << 2); batch < end; batch += 4) {
    const id = load<u32>(batch)
    if (id >= buffers) refuseStranger(id)
    if (<i32>load<u16>((<usize>id) << 1, SIZE) > longest) refuseTooLong(id)
  }
}

/** Brings those of `count` packets from descriptor `at` on that are too short to the least length; returns the bytes added. */
function pad(at: i32, count: i32): u32 {
  let added: u32 = 0
  for (; count > 0; count--, at = (at + 1) & ringMask) {
    const id: usize = load<u16>(idsAt + ((<usize>at) << 1))
    const length: i32 = load<u16>(id << 1, SIZE)
    if (length >= TX_SHORTEST) continue
    added += TX_SHORTEST - length
    padPacket(<i32>id, TX_SHORTEST)
    fill(ringAt + ((<usize>at) << 4), id)
  }
  return added
}

/** Returns the packet's length. */
function fill(descriptor: usize, id: usize): i32 {
  const length: u64 = load<u16>(id << 1, SIZE)
  const command = COMMAND | length | (length << (32 + TX_PAYLEN_SHIFT))
  v128.store(descriptor, i64x2.replace_lane(v128.load_zero<u64>(id << 3, IOVA), 1, command)) // clears DD
  return <i32>length
}

/** The entry of the batch that starts at descriptor `first`. */
function batchAt(first: i32): u32 {
  return load<u32>(batchesAt + ((<usize>first) << 2))
}

/** Whether the card has finished with the batch. */
function done(batch: u32): bool {
  return (load<u32>(ringAt + ((<usize>(batch & 0xffff)) << 4), 12) & TX_DD) !== 0
}

/** Frees the packets of every batch the card has finished; returns how many transmit() would take now. */
export function room(): i32 {
  const mask = ringMask
  const end = index
  let at = oldest
  let surplus: i32 = -1
  while (at !== end) {
    let batch = batchAt(at)
    if (!done(batch)) break
    // Batches of one pool, one behind the other, are freed together.
    const from = at
    const pool = batch >> 16
    do {
      at = (<i32>(batch & 0xffff) + 1) & mask
      if (at === end) break
      batch = batchAt(at)
    } while (batch >> 16 === pool && done(batch))
    if (pool === MIXED || !fits(pool, (at - from) & mask)) {
      const id = freeOneByOne(from, at)
      if (id !== -1) surplus = id
    } else if (at > from) freeTogether(pool, from, at - from)
    else {
      freeTogether(pool, from, mask + 1 - from)
      freeTogether(pool, 0, at)
    }
  }
  oldest = at
  if (surplus !== -1) refuseSurplus(surplus)
  return (at - end - 1) & mask
}

/** The pool has room for so many. If not, something has been freed twice. */
function fits(pool: u32, count: i32): bool {
  return load<i32>(<usize>FREE_TOP + ((<usize>pool) << 2)) + count <= 1 << poolShift
}

/** Frees the `count` packets from descriptor `at` on, all of `pool`. */
function freeTogether(pool: u32, at: i32, count: i32): void {
  const top = <usize>FREE_TOP + ((<usize>pool) << 2)
  const used = load<i32>(top)
  let from = idsAt + ((<usize>at) << 1)
  let free = <usize>FREE_STACK + ((<usize>((pool << poolShift) + used)) << 1)
  store<i32>(top, used + count)
  for (; count >= 8; count -= 8) {
    v128.store(free, v128.load(from))
    from += 16
    free += 16
  }
  for (; count > 0; count--) {
    store<u16>(free, load<u16>(from))
    from += 2
    free += 2
  }
}

/** The same for packets of any pool. Returns an id for which there was no room, -1 if there was for all of them. */
function freeOneByOne(from: i32, end: i32): i32 {
  let surplus: i32 = -1
  for (let at = from; at !== end; at = (at + 1) & ringMask) {
    const id = <i32>load<u16>(idsAt + ((<usize>at) << 1))
    const pool = id >> poolShift
    const top = <usize>FREE_TOP + ((<usize>pool) << 2)
    const used = load<i32>(top)
    if (used >= 1 << poolShift) {
      surplus = id
      continue
    }
    store<u16>(<usize>FREE_STACK + ((<usize>((pool << poolShift) + used)) << 1), id)
    store<i32>(top, used + 1)
  }
  return surplus
}

export function pending(): i32 {
  room()
  return (index - oldest) & ringMask
}
