/** A gen wire that knows how long its frames were inside the host: from its deliver to the other wire's send. */
import { MonotonicClock } from '../../src/linux/monotonic.ts'
import type { Bytes } from '../../src/packet/bytes.ts'
import type { Burst } from '../../src/vnic/burst.ts'
import { GenWire } from '../../src/vnic/wires/gen.ts'
import type { Ledger } from '../../src/vnic/wires/ledger.ts'
import {
  MAGIC,
  MAGIC_WORD,
  MAX_GENERATORS,
  OWNER_WORD,
  SEQUENCE_WORD,
} from '../../src/vnic/wires/test-frame-layout.ts'
import type { Port } from '../../src/vnic/wires/wire.ts'
import { LogHistogram } from '../../src/apps/pktgen/log-histogram.ts'
import { STALL, type StallBook } from './stalls.ts'

/** Frames of one generator that may be under way at once: far more than rings hold. */
const WINDOW = 65536

/**
 * The stamps of all wires of a process. Frames that enter from `warmUp` to `warmUp + duration` milliseconds after the
 * first one count.
 */
export class TimeBook {
  readonly histogram = new LogHistogram()
  readonly stamps: Float64Array
  readonly clock = new MonotonicClock()
  /** Turns of the NICs' loop while frames counted. */
  polls = 0
  /** Why packets were away for long; null until it is known who forwards. */
  stalls: StallBook | null = null
  private readonly warmUp: number
  private readonly duration: number
  private begin = Infinity
  private end = Infinity

  constructor(generators: number, warmUp: number, duration: number) {
    this.stamps = new Float64Array(generators * WINDOW)
    this.warmUp = warmUp
    this.duration = duration
  }

  /** The first frame has entered. */
  started(now: number): void {
    if (this.end !== Infinity) return
    this.begin = now + this.warmUp
    this.end = this.begin + this.duration
  }

  /** Milliseconds of the clock from which on frames count; Infinity before the first. */
  get from(): number {
    return this.begin
  }

  counts(now: number): boolean {
    return now >= this.begin && now < this.end
  }

  /** `slack`: milliseconds for the last ones to come out. */
  over(slack: number): boolean {
    return this.clock.now() > this.end + slack
  }
}

/**
 * The clock is read once before a poll's frames are delivered and once before its first frame is taken: within a poll
 * of the virtual NIC all frames enter, and all leave, at the same time.
 */
export class TimedWire extends GenWire {
  private readonly book: TimeBook
  private readonly base: number
  private sequence = 0
  private poll0 = -1
  private leaves = 0

  /** `generator`: 0 for the first wire made with this ledger, and so on. */
  constructor(book: TimeBook, generator: number, rate: number, ledger: Ledger) {
    super('gen', { sizes: [60], flows: 1, rate, count: null }, ledger, true)
    this.book = book
    this.base = generator * WINDOW
  }

  override poll(port: Port, budget: number, now: number): number {
    const { book, base } = this
    const enters = book.clock.now()
    const count = super.poll(port, budget, now)
    if (book.counts(enters)) book.polls++
    if (count === 0) return 0
    book.started(enters)
    for (let i = 0; i < count; i++) book.stamps[base + (this.sequence++ & (WINDOW - 1))] = enters
    return count
  }

  override send(memory: Bytes, offset: number, length: number, now = 0): boolean {
    this.note(memory, offset, length, now)
    return super.send(memory, offset, length)
  }

  override sendBurst(burst: Burst, now = 0): number {
    const { memory, offsets, lengths, first, count } = burst
    for (let i = first; i < first + count; i++) this.note(memory, offsets[i], lengths[i], now)
    return super.sendBurst(burst)
  }

  private note(memory: Bytes, offset: number, length: number, now: number): void {
    const { book } = this
    if (now !== this.poll0) {
      this.poll0 = now
      this.leaves = book.clock.now()
    }
    const word = offset >>> 2
    const words = memory.u32
    if ((offset & 3) === 0 && length === 60 && words[word + MAGIC_WORD] === MAGIC) {
      const generator = (words[word + OWNER_WORD] >>> 8) & (MAX_GENERATORS - 1)
      const entered = book.stamps[generator * WINDOW + (words[word + SEQUENCE_WORD] & (WINDOW - 1))]
      if (!book.counts(entered)) return
      book.histogram.record((this.leaves - entered) * 1e6)
      if (this.leaves - entered > STALL) book.stalls?.note(entered, this.leaves)
    }
  }
}
