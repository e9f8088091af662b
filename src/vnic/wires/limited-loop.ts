import type { Bytes } from '../../packet/bytes.ts'
import { MAX_FRAME_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { type Pace, WIRE_OVERHEAD_BYTES } from '../../packet/rate.ts'
import { LineEnd } from './cable.ts'
import { FrameQueue } from './frame-queue.ts'
import type { Port } from './wire.ts'

/** A frame with its length in a queue. */
const LARGEST = MAX_FRAME_BYTES + VLAN_TAG_BYTES + 8

/**
 * A loop with a capacity, as a device under test has one: it sends back at a rate what waits in a queue, and drops (`overrun`) what finds
 * the queue full. It waits for nobody: what the NIC can't take then, the NIC misses.
 */
export class LimitedLoop extends LineEnd {
  private readonly pace: Pace
  private readonly most: number
  /** What may be spent on frames, in units of the pace, and since when it has grown, milliseconds. */
  private credit = 0
  private since = -1

  /** `most`: frames that the queue holds. */
  constructor(text: string, pace: Pace, most: number) {
    const queue = new FrameQueue(most * LARGEST)
    super(text, queue, queue)
    this.pace = pace
    this.most = most
  }

  override send(memory: Bytes, offset: number, length: number): boolean {
    if (this.outgoing.frames >= this.most || !this.outgoing.push(memory, offset, length)) this.overrun++
    this.arrived++
    return true
  }

  poll(port: Port, budget: number, now: number): number {
    const { incoming } = this
    if (this.since >= 0) this.credit += ((now - this.since) * this.pace.perSecond) / 1000
    this.since = now
    let count = 0
    while (count < budget && !incoming.empty) {
      const price = this.priceOf(incoming.length)
      if (this.credit < price) return count
      this.credit -= price
      this.deliver(port)
      count++
    }
    // Who has nothing to send saves nothing for later. What came while nobody looked is waiting by the next poll.
    if (incoming.empty) this.credit = Math.min(this.credit, 0)
    return count
  }

  nextEvent(now: number): number {
    const { incoming, pace, since, credit } = this
    if (incoming.empty) return Infinity
    const wait = ((this.priceOf(incoming.length) - credit) / pace.perSecond) * 1000
    return Math.max(now, since < 0 ? now : since + wait)
  }

  private priceOf(length: number): number {
    const { perFrame, perByte } = this.pace
    return Math.max(perFrame, perByte * (length + WIRE_OVERHEAD_BYTES))
  }
}
