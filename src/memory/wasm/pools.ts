/** AssemblyScript, compiled to WebAssembly: PacketMemory.free(), and what a step of an app's own calls. One instance for each memory. */
import { FREE_STACK, FREE_TOP } from '../wasm-layout'

/** PacketMemory.free(), imported from JavaScript. */
declare function freeOthers(ids: usize, count: i32): void
/** Throws (../refusals.ts). */
declare function refusePool(pool: i32, pools: i32): void

let poolShift: i32 = 0
let pools: u32 = 0

export function start(shift: i32, count: i32): void {
  poolShift = shift
  pools = count
}

/**
 * Gives the `count` ids in the 32-bit words at `ids` back, of which there is one at least. Returns how many: all, or none if they
 * aren't all of one pool that has room for them. What is written then is above the pool's top, where nothing is.
 */
export function free(ids: usize, count: i32): i32 {
  const shift = poolShift
  const pool = load<u32>(ids) >> shift
  if (pool >= pools) return 0
  const top = <usize>FREE_TOP + ((<usize>pool) << 2)
  const used = load<i32>(top)
  if (used + count > 1 << shift) return 0
  let free = <usize>FREE_STACK + ((<usize>((pool << shift) + used)) << 1)
  let strangers: u32 = 0
  let left = count
  if (left >= 8) {
    const mine = i32x4.splat(pool)
    let others = i32x4.splat(0)
    do {
      const a = v128.load(ids)
      const b = v128.load(ids, 16)
      others = v128.or(others, v128.xor(i32x4.shr_u(a, shift), mine))
      others = v128.or(others, v128.xor(i32x4.shr_u(b, shift), mine))
      v128.store(free, i16x8.narrow_i32x4_u(a, b))
      ids += 32
      free += 16
      left -= 8
    } while (left >= 8)
    strangers = <u32>v128.any_true(others)
  }
  for (; left > 0; left--) {
    const id = load<u32>(ids)
    strangers |= (id >> shift) ^ pool
    store<u16>(free, id)
    ids += 4
    free += 2
  }
  if (strangers !== 0) return 0
  store<i32>(top, used + count)
  return count
}

/** As PacketMemory.free(). */
export function give(ids: usize, count: i32): void {
  if (count > 0 && free(ids, count) === 0) freeOthers(ids, count)
}

/** As PacketMemory.allocate(), into the 32-bit words at `ids`. */
export function allocate(pool: u32, ids: usize, count: i32): i32 {
  if (pool >= pools) refusePool(pool, pools)
  const top = <usize>FREE_TOP + ((<usize>pool) << 2)
  const left = load<i32>(top)
  const taken = max(0, min(count, left))
  let free = <usize>FREE_STACK + ((<usize>((pool << poolShift) + left)) << 1)
  for (let i = 0; i < taken; i++) {
    free -= 2
    store<u32>(ids + ((<usize>i) << 2), load<u16>(free))
  }
  store<i32>(top, left - taken)
  return taken
}
