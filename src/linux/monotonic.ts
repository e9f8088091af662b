/**
 * The monotonic clock for data-plane loops.
 *
 * performance.now() returns a number that lives on the heap: a million calls make the garbage collector run some thirty
 * times. Here the C library writes the time into memory that stays.
 */
import { declare } from './libc.ts'

const CLOCK_MONOTONIC = 1

/** Writes a struct timespec, seconds and nanoseconds of 64 bits each, into `time`. */
export const clockGettime = declare<(clock: number, time: BigInt64Array) => number>(
  'int clock_gettime(int clock, void *time)',
)

/** What to add to performance.now() of this thread for the time of MonotonicClock, which is the same in every process. */
export function monotonicOffset(): number {
  return new MonotonicClock().now() - performance.now()
}

export class MonotonicClock {
  /** struct timespec: seconds and nanoseconds, 64 bits each. */
  private readonly time = new BigInt64Array(2)
  private readonly words = new Uint32Array(this.time.buffer)
  /**
   * [0]: milliseconds since some point in the past, as of the last read(). For loops: a fraction that a function returns or is given is
   * allocated, unless V8 has inlined the function, which it may not.
   */
  readonly last = new Float64Array(1)

  /** The time, milliseconds. Not for loops. */
  now(): number {
    this.read()
    return this.last[0]
  }

  /** It is `time` or later. */
  isPast(time: number): boolean {
    this.read()
    return this.last[0] >= time
  }

  /** Writes the time into `times[at]`. */
  write(times: Float64Array, at: number): void {
    this.read()
    times[at] = this.last[0]
  }

  /** Takes some 150 ns. */
  read(): void {
    clockGettime(CLOCK_MONOTONIC, this.time)
    this.last[0] = this.words[0] * 1000 + this.words[2] * 1e-6
  }
}
