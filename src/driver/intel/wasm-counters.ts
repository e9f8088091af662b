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
