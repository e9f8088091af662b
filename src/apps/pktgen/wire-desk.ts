/**
 * What the main thread and the workers tell each other of packets that the card stamps: one at a time, as the card keeps one time in each
 * direction. The main thread wants packet `n`, the first worker sends it, the worker to which it comes back says how long it took.
 */

/** Number of the packet that is wanted, written by the main thread; 0: none yet. */
const WANTED = 0
/** Number of the last one handed to the card. */
const SENT = 1
/** Number of the last one that has come back intact. */
const BACK = 2
const WORDS = 4

export class WireDesk {
  private readonly words: Int32Array
  /** [0]: round trip of the packet BACK, nanoseconds. */
  private readonly times: Float64Array

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(WORDS * 4 + 8)
  }

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, WORDS)
    this.times = new Float64Array(memory, WORDS * 4, 1)
  }

  want(number: number): void {
    Atomics.store(this.words, WANTED, number)
  }

  /** The packet to be sent, 0 if there is none. Read plainly, as it is asked for with every batch. */
  get due(): number {
    const { words } = this
    return words[WANTED] === words[SENT] ? 0 : words[WANTED]
  }

  sent(number: number): void {
    Atomics.store(this.words, SENT, number)
  }

  /** The lowest 16 bits of its number are what the packet says. */
  back(low: number, nanoseconds: number): void {
    const { words } = this
    const wanted = Atomics.load(words, WANTED)
    if ((wanted & 0xffff) !== low || words[BACK] === wanted) return
    this.times[0] = nanoseconds
    Atomics.store(words, BACK, wanted)
  }

  isSent(number: number): boolean {
    return Atomics.load(this.words, SENT) === number
  }

  /** The round trip of that packet, nanoseconds; null if it isn't back. */
  roundTrip(number: number): number | null {
    return Atomics.load(this.words, BACK) === number ? this.times[0] : null
  }
}
