/** AssemblyScript, compiled to WebAssembly: the loop of PacketMemory.free(). One instance for each memory. */
import { FREE_STACK, FREE_TOP } from '../wasm-layout'

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
