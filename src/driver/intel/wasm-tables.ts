/** What the rings of wasm-rings.ts have in the WebAssembly memory besides descriptors. */
import type { WasmSpace } from '../../memory/wasm-space.ts'

/**
 * 64-bit counters in the memory. Read by words: a number that a WebAssembly function returns is an object on the heap, and
 * the data plane publishes its counters all the time.
 */
export class Counters {
  readonly at: number
  private readonly words: Uint32Array

  constructor(space: WasmSpace, count: number) {
    this.at = space.take(count * 8)
    this.words = new Uint32Array(space.buffer, this.at, count * 2)
  }

  get(counter: number): number {
    return this.words[counter * 2] + this.words[counter * 2 + 1] * 4294967296
  }
}

/** Finds the caller's arrays in the memory. */
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
