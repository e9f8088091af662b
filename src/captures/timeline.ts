/** When the packets of a capture are due, by their time stamps. */

/** A step back by more than this is a clock that was set; a smaller one, packets whose order was changed on their way. */
const CLOCK_WAS_SET = 1000

export class Timeline {
  /** How often the clock went back. */
  setBack = 0
  private readonly speed: number
  private readonly longestGap: number
  private begun = false
  /** The first packet's time, from which the others are counted, so that milliseconds keep their fractions. */
  private firstSecond = 0
  private firstNanosecond = 0
  /** The latest time stamp, and when it is due. */
  private latest = 0
  private due = 0

  /** `speed`: 2 plays twice as fast. `longestGap`: milliseconds, of the played time; Infinity: gaps are as they are. */
  constructor(speed: number, longestGap: number) {
    this.speed = speed
    this.longestGap = longestGap
  }

  /** Milliseconds from the first packet of the round to this one; never fewer than for the one before. */
  next(seconds: number, nanoseconds: number): number {
    if (!this.begun) {
      this.begun = true
      this.firstSecond = seconds
      this.firstNanosecond = nanoseconds
      this.latest = this.due = 0
      return 0
    }
    const time = (seconds - this.firstSecond) * 1000 + (nanoseconds - this.firstNanosecond) / 1e6
    const step = time - this.latest
    if (step >= 0) {
      this.latest = time
      this.due += Math.min(step / this.speed, this.longestGap)
    } else if (step < -CLOCK_WAS_SET) {
      this.latest = time
      this.setBack++
    }
    return this.due
  }

  /** The next packet is the first of a round. */
  restart(): void {
    this.begun = false
  }
}
