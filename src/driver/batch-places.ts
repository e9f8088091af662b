import type { WasmSpace } from '../memory/wasm-space.ts'

/** Finds the caller's arrays of packets in a WebAssembly memory. */
export class BatchPlaces {
  /** Stands in for arrays that are not in the memory. No more than a ring ever comes or goes at once. */
  readonly copy: Int32Array
  private readonly space: WasmSpace

  constructor(space: WasmSpace, entries: number) {
    this.space = space
    this.copy = new Int32Array(space.buffer, space.take(entries * 4), entries)
  }

  /** Offset of the array in the memory, -1 if it is elsewhere. */
  find(batch: Int32Array): number {
    return batch.buffer === this.space.buffer ? batch.byteOffset : -1
  }
}
