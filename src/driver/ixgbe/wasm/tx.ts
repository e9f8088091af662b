/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../tx-ring.ts, where the algorithm is explained. One instance
 * for each ring. Addresses are bytes from the start of the memory that it shares with JavaScript.
 */
import { TX_DD, TX_DEXT, TX_DTYP_DATA, TX_EOP, TX_IFCS, TX_PAYLEN_SHIFT, TX_RS } from '../descriptors'
import { BYTES, PACKETS } from '../counters'
import { FREE_STACK, FREE_TOP, IOVA, SIZE } from '../../../memory/wasm-layout'

const COMMAND: u64 = TX_DEXT | TX_IFCS | TX_EOP | TX_DTYP_DATA

/** Where the descriptors are, and for each the id of its buffer and, if a batch starts there, where that ends. */
let ringAt: usize = 0
let idsAt: usize = 0
let batchEndAt: usize = 0
let ringMask: i32 = 0
/** Next descriptor to fill, and oldest one not yet freed. */
let index: i32 = 0
let oldest: i32 = 0
let poolShift: i32 = 0

/** Two counters of 64 bits: packets, bytes. */
let countersAt: usize = 0

export function start(
  ring: usize,
  ids: usize,
  batchEnd: usize,
  counters: usize,
  entries: i32,
  shift: i32,
): void {
  ringAt = ring
  idsAt = ids
  batchEndAt = batchEnd
  ringMask = entries - 1
  poolShift = shift
  index = 0
  oldest = 0
  countersAt = counters
  memory.fill(counters, 0, 16)
  memory.fill(ring, 0, (<usize>entries) << 4)
}

/** Fills descriptors for the up to `count` ids in the 32-bit words at `batch`; returns how many. */
export function transmit(batch: usize, count: i32): i32 {
  const ring = ringAt
  const mask = ringMask
  const first = index
  let accepted = (oldest - first - 1) & mask
  if (accepted < count) accepted = room()
  if (accepted > count) accepted = count
  if (accepted <= 0) return 0

  const end = ring + ((<usize>(mask + 1)) << 4)
  let descriptor = ring + ((<usize>first) << 4)
  let slot = idsAt + ((<usize>first) << 1)
  let last = descriptor
  let sum: u32 = 0
  for (const stop = batch + ((<usize>accepted) << 2); batch < stop; batch += 4) {
    const id: usize = load<u32>(batch)
    const length: u64 = load<u16>(id << 1, SIZE)
    store<u16>(slot, id)
    store<u64>(descriptor, load<u64>(id << 3, IOVA))
    store<u64>(descriptor, COMMAND | length | (length << (32 + TX_PAYLEN_SHIFT)), 8) // clears DD
    sum += <u32>length
    last = descriptor
    descriptor += 16
    slot += 2
    if (descriptor === end) {
      descriptor = ring
      slot = idsAt
    }
  }
  store<u32>(last, load<u32>(last, 8) | TX_RS, 8)
  store<u16>(batchEndAt + ((<usize>first) << 1), (first + accepted - 1) & mask)
  index = (first + accepted) & mask
  const counters = countersAt
  store<i64>(counters + PACKETS * 8, load<i64>(counters + PACKETS * 8) + accepted)
  store<i64>(counters + BYTES * 8, load<i64>(counters + BYTES * 8) + sum)
  return accepted
}

/** The word of the status of the batch that starts at descriptor `first`. */
function done(first: i32): bool {
  const last: usize = load<u16>(batchEndAt + ((<usize>first) << 1))
  return (load<u32>(ringAt + (last << 4), 12) & TX_DD) !== 0
}

/** Frees the packets of every batch the card has finished; returns how many transmit() would take now. */
export function room(): i32 {
  const mask = ringMask
  const end = index
  let at = oldest
  if (at === end || !done(at)) return (at - end - 1) & mask
  const ids = idsAt
  const shift = poolShift
  let pool = (<i32>load<u16>(ids + ((<usize>at) << 1))) >> shift
  let top = <usize>FREE_TOP + ((<usize>pool) << 2)
  let free = stackEnd(pool)
  let base = free - ((<usize>load<i32>(top)) << 1)
  do {
    const next = (<i32>load<u16>(batchEndAt + ((<usize>at) << 1)) + 1) & mask
    do {
      const id = <i32>load<u16>(ids + ((<usize>at) << 1))
      if (id >> shift !== pool) {
        store<i32>(top, <i32>((free - base) >> 1))
        pool = id >> shift
        top = <usize>FREE_TOP + ((<usize>pool) << 2)
        free = stackEnd(pool)
        base = free - ((<usize>load<i32>(top)) << 1)
      }
      store<u16>(free, id)
      free += 2
      at = (at + 1) & mask
    } while (at !== next)
  } while (at !== end && done(at))
  store<i32>(top, <i32>((free - base) >> 1))
  oldest = at
  return (at - end - 1) & mask
}

/** Address of the first unused entry of the pool's stack. */
function stackEnd(pool: i32): usize {
  return <usize>FREE_STACK + ((<usize>((pool << poolShift) + load<i32>((<usize>pool) << 2, FREE_TOP))) << 1)
}

export function pending(): i32 {
  room()
  return (index - oldest) & ringMask
}
