import type { Bytes } from '../../packet/bytes.ts'
import type { Burst } from '../burst.ts'
import type { Ledger } from './ledger.ts'
import { plainAccount, type WireAccount } from './account.ts'
import type { Wire, WireReport } from './wire.ts'

/** Places in an array of counts: a field that has held small numbers only has the code around it thrown away when it passes 2^31. */
const ARRIVED = 0
const BYTES = 1
const FOREIGN = 2

/**
 * Swallows and counts; books the frames that generators of this process have sent. Measures the time between frames: by
 * the NIC's clock, which moves once per poll, so frames sent in one go have no time between them.
 */
export class SinkWire implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite = false
  private readonly text: string
  private readonly ledger: Ledger | null
  private readonly counts = new Float64Array(3)
  private first = 0
  private last = 0
  private squares = 0
  private longest = 0
  private stopped = false

  /** `ledger`: null if another wire of this port books what comes out. */
  constructor(text: string, ledger: Ledger | null) {
    this.text = text
    this.ledger = ledger
  }

  poll(): number {
    return 0
  }

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    this.note(1, length, now)
    if (this.ledger !== null && !this.ledger.receive(memory, offset, length)) this.counts[FOREIGN]++
    return true
  }

  sendBurst(burst: Burst, now: number): number {
    const { lengths, first, count } = burst
    let bytes = 0
    for (let i = first; i < first + count; i++) bytes += lengths[i]
    this.note(count, bytes, now)
    if (this.ledger !== null) this.counts[FOREIGN] += this.ledger.receiveBurst(burst)
    return count
  }

  private note(frames: number, bytes: number, now: number): void {
    const { counts } = this
    if (counts[ARRIVED] === 0) this.first = now
    else {
      const gap = now - this.last
      this.squares += gap * gap
      if (gap > this.longest) this.longest = gap
    }
    this.last = now
    counts[ARRIVED] += frames
    counts[BYTES] += bytes
  }

  nextEvent(): number {
    return Infinity
  }

  ended(): boolean {
    return this.stopped
  }

  stop(): void {
    this.stopped = true
  }

  reports(): WireReport[] {
    const [arrived, bytes, foreign] = this.counts
    return [{ wire: this.text, counters: { arrived, bytes, foreign, ...this.gaps() } }]
  }

  account(): WireAccount {
    return plainAccount({ arrived: this.counts[ARRIVED], books: this.ledger !== null })
  }

  /** Mean, standard deviation (the jitter of a steady rate) and maximum of the time between frames, nanoseconds. */
  private gaps(): Record<string, number> {
    const count = this.counts[ARRIVED] - 1
    if (count < 1) return {}
    const mean = (this.last - this.first) / count
    const deviation = Math.sqrt(Math.max(0, this.squares / count - mean * mean))
    const nanoseconds = (milliseconds: number): number => Math.round(milliseconds * 1e6)
    return {
      gapMeanNs: nanoseconds(mean),
      gapDeviationNs: nanoseconds(deviation),
      gapMaxNs: nanoseconds(this.longest),
    }
  }

  close(): void {
    this.stopped = true
  }
}
