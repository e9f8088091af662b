/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../rx-ring.ts, where the algorithm is explained. Addresses are bytes
 * from the start of the memory that it shares with JavaScript.
 */
import { RX_DD, RX_EOP } from '../descriptors'
import { BAD_LENGTH, BYTES, FRAGMENTS, POOL_EMPTY } from '../counters'
import { RING_COUNTERS } from '../wasm-state'
import { FREE_STACK, FREE_TOP, IOVA, SIZE } from '../../../memory/wasm-layout'
import { tally } from './tally'

/** What is known of a ring. It stands in the memory, so that one instance serves all rings of a worker. */
@unmanaged
export class RxRing {
  /** Next descriptor to look at. JavaScript reads it: it is the first word. */
  index: i32
  /** Descriptors, less one. */
  mask: i32
  /** Where the descriptors are, and the ids of the buffers behind them. */
  descriptors: usize
  ids: usize
  /** The pool's stack of free ids, and the number of them. */
  stack: usize
  top: usize
  /** Bytes of the longest packet that fits a buffer. */
  longest: u32

  @inline
  count(counter: usize, amount: i64): void {
    const at = changetype<usize>(this) + RING_COUNTERS + counter * 8
    store<i64>(at, load<i64>(at) + amount)
  }

  /** The next `looked` descriptors are armed again, and the pool has `left` free ids. `taken` packets have come out, of `bytes` bytes. */
  @inline
  goOn(looked: i32, left: i32, taken: i32, bytes: u32): void {
    store<i32>(this.top, left)
    this.index = (this.index + looked) & this.mask
    tally(changetype<usize>(this), taken, bytes)
  }
}

/** Arms all descriptors but one. The pool begins with id `bottom`. Clears the counters. */
export function startRx(
  ring: RxRing,
  descriptors: usize,
  ids: usize,
  entries: i32,
  pool: i32,
  bottom: i32,
  longest: i32,
): void {
  ring.index = 0
  ring.mask = entries - 1
  ring.descriptors = descriptors
  ring.ids = ids
  ring.stack = <usize>FREE_STACK + ((<usize>bottom) << 1)
  ring.top = <usize>FREE_TOP + ((<usize>pool) << 2)
  ring.longest = longest
  memory.fill(changetype<usize>(ring) + RING_COUNTERS, 0, (BAD_LENGTH + 1) * 8)
  for (let at: usize = 0; at < <usize>entries; at++) {
    const id = takeFree(ring)
    store<u16>(ids + (at << 1), id)
    arm(descriptors + (at << 4), id)
  }
}

function takeFree(ring: RxRing): usize {
  const left = load<i32>(ring.top) - 1
  store<i32>(ring.top, left)
  return load<u16>(ring.stack + ((<usize>left) << 1))
}

/** In the upper half of a descriptor: the packet is there, and all of it. */
export const COMPLETE: u64 = RX_DD | RX_EOP
/** Descriptors that are looked at together. */
export const GROUP = 4

/**
 * Puts the ids of up to `limit` packets into the 32-bit words at `batch`. Returns how many, and in the upper half how
 * many descriptors it has looked at: more than packets, if some were dropped.
 *
 * Four descriptors at a time, as long as nothing is special about any of them. What doesn't come in fours, wraps around or must be
 * dropped goes one by one.
 */
export function receive(ring: RxRing, batch: usize, limit: i32): i32 {
  if (limit < GROUP) return receiveFew(ring, batch, limit)
  let all = 0
  let left = limit
  do {
    if (left >= GROUP) {
      const groups = receiveGroups(ring, batch, left)
      all += groups
      left -= groups >>> 16
      if (left === 0) break
      batch += ((<usize>groups) & 0xffff) << 2
    }
    // As far as the end of the ring, so that groups follow again.
    const most = min(min(left, GROUP), ring.mask + 1 - ring.index)
    const few = receiveFew(ring, batch, most)
    all += few
    if (few >>> 16 < most) break
    left -= most
    batch += ((<usize>few) & 0xffff) << 2
  } while (left > 0)
  return all
}

/**
 * Groups in which all is as usual: the ids of four packets, and four fresh ones, are moved together, and one store arms a descriptor.
 *
 * The last status of a group is loaded with acquire semantics: whatever is read after it (packet data) is what the card
 * wrote before it, as it writes in order. On x86 that is an ordinary load.
 */
function receiveGroups(ring: RxRing, batch: usize, limit: i32): i32 {
  const bottom = ring.stack
  const first = batch
  const start = ring.index
  const most = ring.longest
  let free = bottom + (load<u32>(ring.top) << 1)
  let descriptor = ring.descriptors + ((<usize>start) << 4)
  let slot = ring.ids + ((<usize>start) << 1)
  let groups = min(min(limit, ring.mask + 1 - start) / GROUP, <i32>((free - bottom) / (GROUP * 2)))
  let sum: u32 = 0
  let looked = 0
  for (; groups > 0; groups--) {
    const a = load<u64>(descriptor, 8)
    const b = load<u64>(descriptor, 24)
    const c = load<u64>(descriptor, 40)
    const d = atomic.load<u64>(descriptor, 56)
    if ((a & b & c & d & COMPLETE) !== COMPLETE) break
    free -= GROUP * 2
    const fresh = load<u64>(free)
    v128.store(batch, v128.load_ext<u16>(slot))
    store<u64>(slot, fresh)
    const la = take(load<u32>(batch), a)
    const lb = take(load<u32>(batch, 4), b)
    const lc = take(load<u32>(batch, 8), c)
    const ld = take(load<u32>(batch, 12), d)
    sum += la + lb + lc + ld
    arm(descriptor, <usize>(fresh & 0xffff))
    arm(descriptor + 16, <usize>((fresh >> 16) & 0xffff))
    arm(descriptor + 32, <usize>((fresh >> 32) & 0xffff))
    arm(descriptor + 48, <usize>(fresh >> 48))
    batch += GROUP * 4
    // No bit in any of them, so all of them fit; otherwise one of them may not.
    if (((la - 1) | (lb - 1) | (lc - 1) | (ld - 1)) >= most) {
      const bad = sift(ring, batch, free)
      batch -= bad * 4
      free += bad * 2
    }
    descriptor += GROUP * 16
    slot += GROUP * 2
    looked += GROUP
  }
  if (looked === 0) return 0
  const taken = <i32>((batch - first) >> 2)
  ring.goOn(looked, <i32>((free - bottom) >> 1), taken, sum)
  return (looked << 16) | taken
}

/** One by one, around the end of the ring as well. */
function receiveFew(ring: RxRing, batch: usize, limit: i32): i32 {
  const bottom = ring.stack
  const mask = ring.mask
  const first = batch
  const start = ring.index
  let top = load<i32>(ring.top)
  let sum: u32 = 0
  let looked = 0
  for (; looked < limit; looked++) {
    const at: usize = (start + looked) & mask
    const descriptor = ring.descriptors + (at << 4)
    const status = atomic.load<u64>(descriptor, 8)
    if ((status & RX_DD) === 0) break
    const slot = ring.ids + (at << 1)
    const id: usize = load<u16>(slot)
    let armed = id
    if ((status & RX_EOP) === 0) ring.count(FRAGMENTS, 1)
    else if (!fits(status, ring.longest)) ring.count(BAD_LENGTH, 1)
    else if (top === 0) ring.count(POOL_EMPTY, 1)
    else {
      top--
      armed = load<u16>(bottom + ((<usize>top) << 1))
      store<u16>(slot, armed)
      store<u32>(batch, id)
      sum += take(id, status)
      batch += 4
    }
    arm(descriptor, armed)
  }
  if (looked === 0) return 0
  const taken = <i32>((batch - first) >> 2)
  ring.goOn(looked, top, taken, sum)
  return (looked << 16) | taken
}

/** The upper half of a descriptor tells a length that a packet in the buffer can have: neither none nor more than fits. */
function fits(status: u64, longest: u32): bool {
  return ((<u32>(status >> 32)) & 0xffff) - 1 < longest
}

/**
 * Drops those of the group before `batch` that the card says to be empty or longer than their buffer: what is left is moved
 * together, their buffers go onto the pool's stack at `free`. Returns how many were dropped.
 */
function sift(ring: RxRing, batch: usize, free: usize): usize {
  let left = batch - GROUP * 4
  for (let at = left; at < batch; at += 4) {
    const id = load<u32>(at)
    const length: u32 = load<u16>((<usize>id) << 1, SIZE)
    if (length - 1 < ring.longest) {
      store<u32>(left, id)
      left += 4
      continue
    }
    ring.count(BAD_LENGTH, 1)
    ring.count(BYTES, -(<i64>length))
    store<u16>(free, id)
    free += 2
  }
  return (batch - left) >> 2
}

/** Notes the length of packet `id`, which the upper half of its descriptor tells, and returns it. */
function take(id: usize, status: u64): u32 {
  const length = (<u32>(status >> 32)) & 0xffff
  store<u16>(id << 1, length, SIZE)
  return length
}

/** Gives the descriptor the buffer of `id` and clears DD: the address, and zeros above it. */
export function arm(descriptor: usize, id: usize): void {
  v128.store(descriptor, v128.load_zero<u64>(id << 3, IOVA))
}
