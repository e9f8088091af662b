/** PacketMemory.free() in WebAssembly (wasm/pools.ts), for memory that stands in one. */
import { refusePool } from './refusals.ts'
import { specialise } from '../specialise.ts'
import code from './wasm/pools.wasm'
import type { WasmSpace } from './wasm-space.ts'
import { whole } from './whole.ts'

type Free = (ids: Int32Array, from: number, count: number) => void

/** Functions of WebAssembly, which know an array by its address. */
export interface WasmPools {
  allocate(pool: number, ids: number, count: number): number
  give(ids: number, count: number): void
}

interface Loops extends WasmPools {
  start(poolShift: number, pools: number): void
  free(ids: number, count: number): number
}

/** `plain` does the same: for ids in other memory, and for those of several pools or of none. */
export function makeWasmFree(
  space: WasmSpace,
  poolShift: number,
  pools: number,
  plain: Free,
): { free: Free; wasmPools: WasmPools } {
  const words = new Int32Array(space.buffer)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {
    env: { memory: space.memory },
    pools: {
      freeOthers: (ids: number, count: number) => plain(words, ids >>> 2, count),
      refusePool,
    },
  })
  const loops = exports as unknown as Loops
  loops.start(poolShift, pools)
  return { free: specialise(freeing)(space.buffer, loops.free, plain, whole), wasmPools: loops }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each memory. */
function freeing(buffer: ArrayBuffer, loop: Loops['free'], plain: Free, whole: (n: number) => number): Free {
  /** The array of the last call, and where it is; -1: elsewhere. */
  let known: Int32Array | null = null
  let place = -1

  return (ids, from, count) => {
    if (ids !== known) {
      known = ids
      place = ids.buffer === buffer ? ids.byteOffset : -1
    }
    let start = from | 0
    if (start !== from) start = whole(from)
    let most = count | 0
    if (most !== count) most = whole(count)
    const held = ((ids.length | 0) - start) | 0
    if (most > held) most = held
    if (start < 0 || most <= 0) return
    if (place < 0 || loop((place + (start << 2)) | 0, most) === 0) plain(ids, start, most)
  }
}
