/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../rx-ring.ts, where the algorithm is explained. One instance
 * for each ring. Addresses are bytes from the start of the memory that it shares with JavaScript.
 */
import { RX_DD, RX_EOP } from '../descriptors'
import { BYTES, FRAGMENTS, PACKETS, POOL_EMPTY } from '../counters'
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

/** Four counters of 64 bits: packets, bytes, pool empty, fragments. */
let countersAt: usize = 0

function count(counter: usize, amount: i64): void {
  store<i64>(countersAt + counter * 8, load<i64>(countersAt + counter * 8) + amount)
}

/** Arms all descriptors but one. The pool begins with id `bottom`. Clears the counters at `counters`. */
export function start(ring: usize, ids: usize, counters: usize, entries: i32, pool: i32, bottom: i32): void {
  ringAt = ring
  idsAt = ids
  ringMask = entries - 1
  stackAt = <usize>FREE_STACK + ((<usize>bottom) << 1)
  topAt = <usize>FREE_TOP + ((<usize>pool) << 2)
  index = 0
  countersAt = counters
  memory.fill(counters, 0, 32)
  for (let at = 0; at < entries; at++) arm(at, takeFree())
}

function takeFree(): usize {
  const left = load<i32>(topAt) - 1
  store<i32>(topAt, left)
  return load<u16>(stackAt + ((<usize>left) << 1))
}
function arm(at: i32, id: usize): void {
  const descriptor = ringAt + ((<usize>at) << 4)
  store<u16>(idsAt + ((<usize>at) << 1), id)
  store<u64>(descriptor, load<u64>(id << 3, IOVA))
  store<u64>(descriptor, 0, 8) // clears DD
}

/**
 * Puts the ids of up to `limit` packets into the 32-bit words at `batch`. Returns how many, and in the upper half how
 * many descriptors it has looked at: more than packets, if some were dropped.
 *
 * Each status is loaded with acquire semantics, so that whatever is read after it (length, packet data) is what the card
 * wrote before it. On x86 that is an ordinary load.
 */
export function receive(batch: usize, limit: i32): i32 {
  const end = ringAt + ((<usize>(ringMask + 1)) << 4)
  const bottom = stackAt
  const top = bottom + (load<u32>(topAt) << 1)
  const first = batch
  let free = top
  let descriptor = ringAt + ((<usize>index) << 4)
  let slot = idsAt + ((<usize>index) << 1)
  let left = limit
  let sum: u32 = 0
  for (; left > 0; left--) {
    const status = atomic.load<u32>(descriptor, 8)
    if ((status & RX_DD) === 0) break
    const id: usize = load<u16>(slot)
    let armed = id
    if ((status & RX_EOP) === 0) count(FRAGMENTS, 1)
    else if (free === bottom) count(POOL_EMPTY, 1)
    else {
      const length = load<u16>(descriptor, 12)
      free -= 2
      armed = load<u16>(free)
      store<u16>(slot, armed)
      store<u16>(id << 1, length, SIZE)
      store<u32>(batch, id)
      batch += 4
      sum += length
    }
    store<u64>(descriptor, load<u64>(armed << 3, IOVA))
    store<u64>(descriptor, 0, 8) // clears DD
    descriptor += 16
    slot += 2
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
