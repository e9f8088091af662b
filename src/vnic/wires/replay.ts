import type { CaptureFeed } from '../../captures/feed.ts'
import { Flag, Kind, RingConsumer, State } from '../../captures/frame-ring.ts'
import type { Log } from '../../captures/messages.ts'
import type { Bytes } from '../../packet/bytes.ts'
import { Pacer } from '../../packet/pacer.ts'
import { type Pace, WIRE_OVERHEAD_BYTES } from '../../packet/rate.ts'
import type { Ledger } from './ledger.ts'
import { plainAccount, type WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** Pauses from here on are announced, milliseconds. */
const LONG_PAUSE = 60_000
/** Longest time between two looks for packets that are slow in coming, milliseconds; and its growth, as a share of the wait. */
const LOOK_EVERY = 10
const LOOK_SHARE = 1 / 20

export interface ReplayOptions {
  /** How fast, see paceOf(); null: the capture's own timing. */
  readonly pace: Pace | null
  /** How often the capture is played; 0: without end. */
  readonly repeat: number
}

/**
 * Plays a capture into the NIC, frame by frame and in order, at the times the capture tells or at a rate. Whatever the
 * timing, a frame waits until the host has a descriptor free: nothing is lost here, a slow host makes the replay late. So
 * does a slow disk. With the capture's own timing, a late replay catches up; one round of `repeat` follows directly on the
 * other.
 *
 * What the NIC sends is swallowed and counted.
 */
export class ReplayWire implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite: boolean
  private readonly text: string
  private readonly feed: CaptureFeed
  private readonly ring: RingConsumer
  private readonly log: Log
  /** By the capture's own timing. */
  private readonly timed: boolean
  private readonly pacer: Pacer | null
  /** What a frame costs of the pacer's allowance: so much, or so much per byte on the wire if that is more. */
  private readonly framePrice: number
  private readonly bytePrice: number
  private readonly ledger: Ledger | null
  private roundsLeft: number
  private waitsForPort = true
  private done = false
  private stopped = false
  /** When the first packet of this round was due, on the monotonic clock. NaN before it. */
  private origin = NaN
  private announced = false
  /** Since when there is nothing to send although the capture hasn't ended. */
  private starvedSince = NaN

  private sent = 0
  private undelivered = 0
  private unusable = 0
  private padded = 0
  private cut = 0
  private arrived = 0
  private foreign = 0

  /** The feed is closed with the wire. */
  constructor(text: string, feed: CaptureFeed, options: ReplayOptions, ledger: Ledger | null, log: Log) {
    const { pace, repeat } = options
    this.text = text
    this.feed = feed
    this.ring = new RingConsumer(feed.ring)
    this.ledger = ledger
    this.log = log
    this.finite = repeat !== 0
    this.roundsLeft = repeat === 0 ? Infinity : repeat
    this.timed = pace === null
    this.pacer = pace === null || pace.perSecond === Infinity ? null : new Pacer(pace.perSecond)
    this.framePrice = pace?.perFrame ?? 0
    this.bytePrice = pace?.perByte ?? 0
  }

  /** Throws IXY_ERR_INPUT where the capture is damaged. */
  poll(port: Port, budget: number, now: number): number {
    if (this.ended()) return 0
    this.waitsForPort = !port.listening() || port.room() === 0
    if (!port.listening()) this.pacer?.pause()
    if (this.waitsForPort) return 0
    const { ring, pacer } = this
    const limit = Math.min(budget, port.room())
    const allowance = pacer === null ? Infinity : pacer.allowance(now)
    let spent = 0
    let count = 0
    while (count < limit && spent < allowance && this.ready(now)) {
      if (this.timed && this.dueTime(now) > now) break
      const { length } = ring
      this.sent++
      if (!port.deliver(ring.memory, ring.offset, length)) this.undelivered++
      spent += Math.max(this.framePrice, this.bytePrice * (length + WIRE_OVERHEAD_BYTES))
      this.shift()
      count++
    }
    pacer?.spend(spent)
    ring.release()
    return count
  }

  send(memory: Bytes, offset: number, length: number): boolean {
    this.arrived++
    if (this.ledger !== null && !this.ledger.receive(memory, offset, length)) this.foreign++
    return true
  }

  nextEvent(now: number): number {
    if (this.ended() || this.waitsForPort) return Infinity
    if (!this.ready(now)) return now + Math.min(LOOK_EVERY, 1 + (now - this.starvedSince) * LOOK_SHARE)
    if (this.pacer !== null) return this.pacer.next(now)
    return this.timed ? Math.max(now, this.dueTime(now)) : now
  }

  ended(): boolean {
    return this.stopped || this.done
  }

  stop(): void {
    this.stopped = true
  }

  /**
   * `padded` to the shortest frame. `cut`: of those sent, the capture had only the beginning. `unusable`: packets that were
   * passed over up to here.
   */
  reports(): WireReport[] {
    const { sent, undelivered, padded, cut, unusable, arrived, foreign } = this
    return [{ wire: this.text, counters: { sent, undelivered, padded, cut, unusable, arrived, foreign } }]
  }

  account(): WireAccount {
    return plainAccount({ offered: this.sent, arrived: this.arrived, books: this.ledger !== null })
  }

  close(): void {
    this.stopped = true
    this.feed.close()
  }

  /** True if a frame is the next to be sent. Throws why not if none will come. */
  private ready(now: number): boolean {
    const { ring } = this
    while (!this.done) {
      const kind = ring.peek()
      if (kind === Kind.FRAME) {
        this.starvedSince = NaN
        return true
      }
      if (kind === Kind.ROUND_END) this.endRound()
      else if (kind === Kind.SKIPPED) {
        this.unusable += ring.number
        ring.shift()
      } else {
        // What is not told yet comes with the next turn of the event loop.
        if (ring.state === State.FAILED && ring.peek() === Kind.NONE && this.feed.error !== null)
          throw this.feed.error
        if (Number.isNaN(this.starvedSince)) this.starvedSince = now
        return false
      }
    }
    return false
  }

  private endRound(): void {
    const { ring } = this
    const { flags } = ring
    this.roundsLeft--
    this.origin = NaN
    // A round in which nothing could be sent would be repeated without end.
    if (this.roundsLeft <= 0 || (flags & Flag.EMPTY) !== 0) this.done = true
    else if ((flags & Flag.WHOLE) !== 0) ring.restart()
    else ring.shift()
  }

  private shift(): void {
    const { ring } = this
    const { flags } = ring
    this.unusable += ring.number
    if ((flags & Flag.PADDED) !== 0) this.padded++
    if ((flags & Flag.CUT) !== 0) this.cut++
    this.announced = false
    ring.shift()
  }

  /** When the next frame is due by the capture's timing: milliseconds on the monotonic clock. */
  private dueTime(now: number): number {
    const { time } = this.ring
    if (Number.isNaN(this.origin)) this.origin = now - time
    const due = this.origin + time
    if (due - now > LONG_PAUSE && !this.announced) {
      this.announced = true
      this.log(
        'progress',
        `${this.text}: the next packet comes in ${pauseText(due - now)}, as in the capture; gap=<time> makes such pauses shorter`,
      )
    }
    return due
  }
}

/** `18 h 12 min` */
function pauseText(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}
