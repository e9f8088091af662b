import type { WasmSpace } from '../../memory/wasm-space.ts'

/**
 * 64-bit counters in the memory. Read by words: a number that a WebAssembly function returns is an object on the heap, and
 * the data plane publishes its counters all the time.
 */
export class Counters {
  private readonly words: Uint32Array

  /** `at`: where they are in `space`. */
  constructor(space: WasmSpace, at: number, count: number) {
    this.words = new Uint32Array(space.buffer, at, count * 2)
  }

  get(counter: number): number {
    return this.words[counter * 2] + this.words[counter * 2 + 1] * 4294967296
  }
}
