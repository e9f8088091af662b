/** What comes back of one stream, in the order in which it comes: each packet once, how late it is, and what has overtaken it. */
import {
  BEYOND,
  DUPLICATED,
  EXTENT_LONGEST,
  EXTENT_SUM,
  JITTER_LONGEST,
  JITTER_PAIRS,
  JITTER_SMOOTHED,
  JITTER_SUM,
  LATE,
  type LatencyBook,
  REORDERED,
  RETURNED,
} from './latency.ts'

/** Sequence numbers back from the newest for which copies are known, a bit each, all streams together: 4.5 s at 14.88 Mpps. */
const WINDOW_BITS = 1 << 26
/** Arrivals back for which it is known how far a packet was overtaken, all streams and senders together. */
const HISTORY = 1 << 18
const LEAST_HISTORY = 1 << 8
const MOST_HISTORY = 1 << 16
/** RFC 3550 §6.4.1. */
const SMOOTHING = 16

export class Arrivals {
  private readonly book: LatencyBook
  /** How many take turns to send the packets, each in order. */
  private readonly senders: number
  private readonly windowBits: number
  /** Which sequence numbers have come back. A word is cleared when the newest one enters it. */
  private readonly seen: Uint32Array
  private readonly windowWords: number
  private newest = 0
  /** In an array, as double fields would be objects: [0] the newest number without wrapping, [1] the round trip before. */
  private readonly state = new Float64Array(2)
  /** By sender: packets that have arrived, and the largest number among them. */
  private readonly arrived: Float64Array
  private readonly largest: Float64Array
  /**
   * By sender, the last arrivals that were larger than all before, a ring each: their numbers, and which arrival they were. The first
   * of them that is larger than a packet is the first that has overtaken it.
   */
  private readonly history: number
  private readonly records: Float64Array
  private readonly recordedAt: Float64Array
  private readonly recorded: Float64Array

  /** `streams`: how many share the memory for all of this. */
  constructor(book: LatencyBook, senders: number, streams: number) {
    const share = 2 ** Math.ceil(Math.log2(streams))
    this.book = book
    this.senders = senders
    this.windowBits = WINDOW_BITS / share
    this.windowWords = this.windowBits >>> 5
    this.seen = new Uint32Array(this.windowWords)
    const history = HISTORY / share / 2 ** Math.ceil(Math.log2(senders))
    this.history = Math.min(MOST_HISTORY, Math.max(LEAST_HISTORY, history))
    this.arrived = new Float64Array(senders)
    this.largest = new Float64Array(senders).fill(-1)
    this.recorded = new Float64Array(senders)
    this.records = new Float64Array(senders * this.history)
    this.recordedAt = new Float64Array(senders * this.history)
  }

  /** An intact packet, after `age` nanoseconds: the first of its number, a copy, or too old to tell. */
  enter(sequence: number, age: number): void {
    const { seen, book, windowBits, windowWords, state } = this
    const ahead = (sequence - this.newest) | 0
    if (ahead <= 32 - windowBits) {
      book.fields[LATE]++
      return
    }
    const number = state[0] + ahead
    if (ahead > 0) {
      const entered = ((sequence >>> 5) - (this.newest >>> 5)) & 0x7ffffff
      for (let i = Math.min(entered, windowWords); i > 0; i--)
        seen[((sequence >>> 5) - i + 1) & (windowWords - 1)] = 0
      this.newest = sequence
      state[0] = number
    }
    const at = (sequence >>> 5) & (windowWords - 1)
    const bit = 1 << (sequence & 31)
    if ((seen[at] & bit) !== 0) {
      book.fields[DUPLICATED]++
      return
    }
    seen[at] |= bit
    this.vary(age)
    this.follow(number)
    book.measured(age)
  }

  /** The difference to the round trip before (RFC 3550 §6.4.1: D), and its running average. */
  private vary(age: number): void {
    const { fields } = this.book
    if (fields[RETURNED] > 0) {
      const difference = Math.abs(age - this.state[1])
      fields[JITTER_PAIRS]++
      fields[JITTER_SUM] += difference
      fields[JITTER_SMOOTHED] += (difference - fields[JITTER_SMOOTHED]) / SMOOTHING
      if (difference > fields[JITTER_LONGEST]) fields[JITTER_LONGEST] = difference
    }
    this.state[1] = age
  }

  /** Among what its sender has sent: the largest so far, or overtaken (RFC 4737 §3.4), and how far (§4.2.2). */
  private follow(number: number): void {
    const { senders, arrived, largest, recorded, records, recordedAt, history } = this
    const sender = senders === 1 ? 0 : number % senders
    const arrival = arrived[sender]++
    if (number > largest[sender]) {
      largest[sender] = number
      const place = sender * history + (recorded[sender]++ & (history - 1))
      records[place] = number
      recordedAt[place] = arrival
      return
    }
    const { fields } = this.book
    fields[REORDERED]++
    const oldest = Math.max(0, recorded[sender] - history)
    const first = this.firstAbove(number, sender, oldest, recorded[sender] - 1)
    // Were there older ones, one of them might have been the first.
    if (first === oldest && oldest > 0) fields[BEYOND]++
    const extent = arrival - recordedAt[sender * history + (first & (history - 1))]
    fields[EXTENT_SUM] += extent
    if (extent > fields[EXTENT_LONGEST]) fields[EXTENT_LONGEST] = extent
  }

  /** The first of a sender's records `low` to `high`, which grow, that is above `number`; the last one is. */
  private firstAbove(number: number, sender: number, low: number, high: number): number {
    const { records, history } = this
    const base = sender * history
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (records[base + (middle & (history - 1))] > number) high = middle
      else low = middle + 1
    }
    return low
  }
}
