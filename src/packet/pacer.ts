/**
 * Sends by the clock: a token bucket that holds its average.
 *
 * A poll loop is late now and then (the scheduler, a collection). What is due by then stays due, for some time,
 * but is not sent at once: a burst that no real source makes would overrun the receiver's ring. The backlog is worked
 * off at up to twice the rate, at most `BURST` packets in a row.
 */

/** Half of the default receive ring. */
const BURST = 256
const CATCH_UP = 2
/** Backlog of a rate that was asked for, milliseconds: what is older isn't made up for. */
const MEMORY = 1000
/**
 * The same of a source that merely keeps to line rate. A link makes up for nothing, but a program that runs now and then
 * needs a little of it to fill one. So a second never has more than a hundredth too much.
 */
export const LINE_RATE_MEMORY = 10
/** So that a packet which is due at next() is also due for allowance(). */
const ROUNDING = 1e-6
/** No whole number: a field that has held such only has all code that uses it thrown away when the first fraction comes. */
const ONE = 1 + ROUNDING

export class Pacer {
  private readonly memory: number
  private perMillisecond = 0
  private most = 0
  private due = 0
  private burst = ONE
  private last = -1
  private readonly given = new Float64Array(1)

  /** `rate` in packets per second, above 0; `memory` in milliseconds. */
  constructor(rate: number, memory = MEMORY) {
    this.memory = memory
    this.change(rate)
  }

  /** Goes on at another rate, packets per second, above 0. */
  change(rate: number): void {
    this.perMillisecond = rate / 1000
    this.most = Math.max(1, this.perMillisecond * this.memory)
  }

  /** The first packet is due at `at` (milliseconds, monotonic), which may be past or still to come. */
  begin(at: number): void {
    this.due = 1
    this.burst = ONE
    this.last = at
  }

  /**
   * How many packets may be sent at `now` (milliseconds, monotonic); less than 1 if none. Without begin() the clock
   * starts, at 1 packet, with the first call.
   */
  allowance(now: number): number {
    this.given[0] = now
    return this.allowanceAt(this.given)
  }

  /** The same at `time[0]`: in a loop, a fraction that a function is given may be allocated. */
  allowanceAt(time: Float64Array): number {
    const now = time[0]
    if (this.last < 0) {
      this.due = 1
      this.last = now
    }
    // Negative as long as the beginning is to come.
    const tokens = (now - this.last) * this.perMillisecond
    this.last = now
    this.due = Math.min(this.due + tokens, this.most)
    this.burst = Math.min(this.burst + tokens * CATCH_UP, BURST)
    return Math.floor(Math.min(this.due, this.burst) + ROUNDING)
  }

  /** `count` packets were sent. */
  spend(count: number): void {
    this.due -= count
    this.burst -= count
  }

  /** When the next packet may be sent: `now` or later, milliseconds. */
  next(now: number): number {
    if (this.last < 0) return now
    const wait = Math.max(
      (1 - this.due) / this.perMillisecond,
      (1 - this.burst) / (this.perMillisecond * CATCH_UP),
    )
    return Math.max(now, this.last + wait)
  }

  /** Forgets what is due: the clock starts anew with the next allowance(). */
  pause(): void {
    this.last = -1
    this.burst = ONE
  }
}
