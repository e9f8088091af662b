/** Frames of several rings in the order in which they came. */
import { Kind, type RingConsumer } from './frame-ring.ts'

/**
 * What came so many milliseconds ago, or earlier, has been published by every queue, unless its thread stood still for
 * as long: that far frames can be put into order.
 */
const SETTLED = 20

export class Merge {
  /** Per ring, packets that were lost since the last frame of it: the caller sets it back. */
  readonly drops: Float64Array
  private readonly rings: readonly RingConsumer[]

  constructor(rings: readonly RingConsumer[]) {
    this.rings = rings
    this.drops = new Float64Array(rings.length)
  }

  /** Up to when frames may be taken, if it is `now`; one ring is in order by itself. */
  settledAt(now: number): number {
    return this.rings.length === 1 ? Infinity : now - SETTLED
  }

  /** The ring whose next frame came first, and before `until`; -1: there is none. */
  next(until: number): number {
    const { rings } = this
    let found = -1
    let earliest = until
    for (let queue = 0; queue < rings.length; queue++) {
      const ring = rings[queue]
      let kind = ring.peek()
      for (; kind !== Kind.NONE && kind !== Kind.FRAME; kind = ring.peek()) {
        if (kind === Kind.SKIPPED) this.drops[queue] += ring.number
        ring.shift()
      }
      if (kind === Kind.NONE || !(ring.time < earliest)) continue
      earliest = ring.time
      found = queue
    }
    return found
  }

  /** Gives what was shifted back to the producers. */
  release(): void {
    for (const ring of this.rings) ring.release()
  }
}
