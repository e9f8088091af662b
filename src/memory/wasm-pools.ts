/** PacketMemory.free() in WebAssembly (wasm/pools.ts), for memory that stands in one. */
import { specialise } from '../specialise.ts'
import code from './wasm/pools.wasm'
import type { WasmSpace } from './wasm-space.ts'
import { whole } from './whole.ts'

type Free = (ids: Int32Array, from: number, count: number) => void

interface Loops {
  start(poolShift: number, pools: number): void
  free(ids: number, count: number): number
}

/** `plain` does the same: for ids in other memory, and for those of several pools or of none. */
export function makeWasmFree(space: WasmSpace, poolShift: number, pools: number, plain: Free): Free {
  const module = new WebAssembly.Module(code)
  const { exports } = new WebAssembly.Instance(module, { env: { memory: space.memory } })
  const { start, free } = exports as unknown as Loops
  start(poolShift, pools)
  return specialise(freeing)(space.buffer, free, plain, whole)
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
