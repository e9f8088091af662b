/** How far a capture that is written has come: told by its thread, read by those who wait for it. And its clock. */
import { MonotonicClock } from '../linux/monotonic.ts'
import { realtime } from '../linux/realtime.ts'

const RECORDED = 0
const WRITTEN = 1
const FILES = 2
const CLOCK = 3
const CLOCK_AT = 4
const WORDS = 5

export class Progress {
  private readonly words: Float64Array
  private readonly monotonic = new MonotonicClock()

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(WORDS * 8)
  }

  constructor(memory: SharedArrayBuffer) {
    this.words = new Float64Array(memory)
  }

  /** Records that are in the file, or files. */
  get recorded(): number {
    return this.words[RECORDED]
  }

  /** Bytes that were written. */
  get written(): number {
    return this.words[WRITTEN]
  }

  /** Files that were begun. */
  get files(): number {
    return this.words[FILES]
  }

  tell(recorded: number, written: number, files: number): void {
    this.words[RECORDED] = recorded
    this.words[WRITTEN] = written
    this.words[FILES] = files
  }

  /** The second, since 1970, from which the times of packets count. Set before the first of them. */
  get clock(): number {
    return this.words[CLOCK]
  }

  setClock(seconds: number): void {
    this.words[CLOCK] = seconds
  }

  /**
   * Takes the second that it is, for those who time packets by MonotonicClock: what has to be taken off its milliseconds. The
   * system's time as it is now, carried on by the monotonic clock, so that it never jumps.
   */
  startClock(): number {
    const { seconds, nanoseconds } = realtime()
    this.words[CLOCK] = seconds
    this.words[CLOCK_AT] = this.monotonic.now() - nanoseconds * 1e-6
    return this.words[CLOCK_AT]
  }

  /** Milliseconds since that second. After startClock(). */
  sinceClock(): number {
    return this.monotonic.now() - this.words[CLOCK_AT]
  }
}
