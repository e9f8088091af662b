/** The memory by which the main thread tells the worker the next trial, and hears of it. */
import { LatencyBook } from '../pktgen/latency.ts'

/** 32-bit words, for Atomics: the trial that is to be run, counted from 1, … */
export const TRIAL = 0
/** … the trial whose frames are to be no more, … */
export const HALT = 1
/** … and the trial whose last frame has left the transmit ring. */
export const SENT_ALL = 2
const WORDS = 4

/** Doubles, written by the main thread before TRIAL: frames per second and frames of each lane that sends, … */
export const RATE = 0
export const COUNT = 1
/** … which of the sizes, which lanes (a bit each), and what tells this trial's frames from others. */
export const SIZE = 2
export const LANES = 3
export const KEY = 4
/** Doubles, written by the worker, of each lane: see LaneCounts. */
const FIRST_LANE = 5
export const SENT = 0
export const BEGUN = 1
export const ENDED = 2
export const SILENT_FROM = 3
export const SILENT_UNTIL = 4
export const LAST_BACK = 5
const PER_LANE = 6
const MOST_LANES = 2

/** One direction: its sender's counts, in the places above. Times are milliseconds of CLOCK_MONOTONIC. */
export type LaneCounts = Float64Array

export interface BoardMemory {
  readonly shared: SharedArrayBuffer
  /** A LatencyBook for each lane. */
  readonly books: readonly SharedArrayBuffer[]
}

export class Board {
  readonly words: Int32Array
  readonly order: Float64Array
  /** SENT: handed to the card. BEGUN, ENDED: when the trial and its last frame were. SILENT_…: the longest time without a frame that came through. */
  readonly lanes: readonly LaneCounts[]
  /** What came through of each lane. */
  readonly books: readonly LatencyBook[]

  static allocate(lanes: number): BoardMemory {
    return {
      shared: new SharedArrayBuffer(WORDS * 4 + (FIRST_LANE + MOST_LANES * PER_LANE) * 8),
      books: Array.from({ length: lanes }, () => LatencyBook.allocate()),
    }
  }

  constructor({ shared, books }: BoardMemory) {
    const doubles = new Float64Array(shared, WORDS * 4)
    this.words = new Int32Array(shared, 0, WORDS)
    this.order = doubles.subarray(0, FIRST_LANE)
    this.lanes = books.map((_, lane) => {
      const first = FIRST_LANE + lane * PER_LANE
      return doubles.subarray(first, first + PER_LANE)
    })
    this.books = books.map((book) => new LatencyBook(book))
  }
}
