/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../rx-ring.ts, where the algorithm is explained. One instance
 * for each ring. Addresses are bytes from the start of the memory that it shares with JavaScript.
 */
import { RX_DD, RX_EOP } from '../descriptors'
import { BAD_LENGTH, BYTES, FRAGMENTS, PACKETS, POOL_EMPTY } from '../counters'
import { FREE_STACK, FREE_TOP, IOVA, SIZE } from '../../../memory/wasm-layout'

/** Where the descriptors are, and the ids of the buffers behind them. */
let ringAt: usize = 0
let idsAt: usize = 0
let ringMask: i32 = 0
/** Next descriptor to look at. */
let index: i32 = 0
/** The pool's stack of free ids, and the number of them. */
let stackAt: usize = 0
let topAt: usize = 0

/** Bytes of the longest packet that fits a buffer. */
let longest: u32 = 0

/** Five counters of 64 bits: packets, bytes, pool empty, fragments, bad length. */
let countersAt: usize = 0

function count(counter: usize, amount: i64): void {
  store<i64>(countersAt + counter * 8, load<i64>(countersAt + counter * 8) + amount)
}

/** Arms all descriptors but one. The pool begins with id `bottom`. Clears the counters at `counters`. */
export function start(
  ring: usize,
  ids: usize,
  counters: usize,
  entries: i32,
  pool: i32,
  bottom: i32,
  maxLength: i32,
): void {
  ringAt = ring
  idsAt = ids
  ringMask = entries - 1
  stackAt = <usize>FREE_STACK + ((<usize>bottom) << 1)
  topAt = <usize>FREE_TOP + ((<usize>pool) << 2)
  index = 0
  countersAt = counters
  memory.fill(counters, 0, 40)
  longest = maxLength
  for (let at: usize = 0; at < <usize>entries; at++) {
    const id = takeFree()
    store<u16>(ids + (at << 1), id)
    arm(ring + (at << 4), id)
  }
}

function takeFree(): usize {
  const left = load<i32>(topAt) - 1
  store<i32>(topAt, left)
  return load<u16>(stackAt + ((<usize>left) << 1))
}

/** In the upper half of a descriptor: the packet is there, and all of it. */
const COMPLETE: u64 = RX_DD | RX_EOP
/** Descriptors that are looked at together. */
const GROUP = 4

/**
 * Puts the ids of up to `limit` packets into the 32-bit words at `batch`. Returns how many, and in the upper half how
 * many descriptors it has looked at: more than packets, if some were dropped.
 *
 * Four descriptors at a time, as long as nothing is special about any of them: their ids, and the fresh ones, are moved
 * together, and one store arms a descriptor. What doesn't come in fours, wraps around or must be dropped goes one by one.
 *
 * Each status is loaded with acquire semantics, so that whatever is read after it (packet data) is what the card
 * wrote before it. On x86 that is an ordinary load.
 */
export function receive(batch: usize, limit: i32): i32 {
  const end = ringAt + ((<usize>(ringMask + 1)) << 4)
  const lastGroup = end - GROUP * 16
  const bottom = stackAt
  const first = batch
  let free = bottom + (load<u32>(topAt) << 1)
  let descriptor = ringAt + ((<usize>index) << 4)
  let slot = idsAt + ((<usize>index) << 1)
  let left = limit
  let sum: u32 = 0
  const most = longest
  while (left > 0) {
    const a = atomic.load<u64>(descriptor, 8)
    if (left >= GROUP && descriptor <= lastGroup && free >= bottom + GROUP * 2) {
      const b = atomic.load<u64>(descriptor, 24)
      const c = atomic.load<u64>(descriptor, 40)
      const d = atomic.load<u64>(descriptor, 56)
      if ((a & b & c & d & COMPLETE) === COMPLETE) {
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
          const bad = sift(batch, free)
          batch -= bad * 4
          free += bad * 2
        }
        descriptor += GROUP * 16
        slot += GROUP * 2
        left -= GROUP
        if (descriptor === end) {
          descriptor = ringAt
          slot = idsAt
        }
        continue
      }
    }
    if ((a & RX_DD) === 0) break
    const id: usize = load<u16>(slot)
    let armed = id
    if ((a & RX_EOP) === 0) count(FRAGMENTS, 1)
    else if (!fits(a)) count(BAD_LENGTH, 1)
    else if (free === bottom) count(POOL_EMPTY, 1)
    else {
      free -= 2
      armed = load<u16>(free)
      store<u16>(slot, armed)
      store<u32>(batch, id)
      sum += take(id, a)
      batch += 4
    }
    arm(descriptor, armed)
    descriptor += 16
    slot += 2
    left--
    if (descriptor === end) {
      descriptor = ringAt
      slot = idsAt
    }
  }
  const looked = limit - left
  if (looked === 0) return 0
  const taken = (batch - first) >> 2
  store<u32>(topAt, (free - bottom) >> 1)
  index = (index + looked) & ringMask
  count(PACKETS, taken)
  count(BYTES, sum)
  return (looked << 16) | (<i32>taken)
}

/** The upper half of a descriptor tells a length that a packet in the buffer can have: neither none nor more than fits. */
function fits(status: u64): bool {
  return ((<u32>(status >> 32)) & 0xffff) - 1 < longest
}

/**
 * Drops those of the group before `batch` that the card says to be empty or longer than their buffer: what is left is moved
 * together, their buffers go onto the pool's stack at `free`. Returns how many were dropped.
 */
function sift(batch: usize, free: usize): usize {
  let left = batch - GROUP * 4
  for (let at = left; at < batch; at += 4) {
    const id = load<u32>(at)
    const length: u32 = load<u16>((<usize>id) << 1, SIZE)
    if (length - 1 < longest) {
      store<u32>(left, id)
      left += 4
      continue
    }
    count(BAD_LENGTH, 1)
    count(BYTES, -(<i64>length))
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
function arm(descriptor: usize, id: usize): void {
  v128.store(descriptor, v128.load_zero<u64>(id << 3, IOVA))
}
