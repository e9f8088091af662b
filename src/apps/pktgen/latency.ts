/** What workers find out about round trips, in memory that the main thread reads at any time. */
import type { RoundTrips } from '../../engine/app.ts'
import { LogHistogram } from './log-histogram.ts'

/** Probes handed to the card. */
export const SENT = 0
/** Probes that came back intact, each counted once. */
export const RETURNED = 1
/** Further copies of those. */
export const DUPLICATED = 2
/** Probes of this run that something has changed: what their stamps say is not believed. */
export const DAMAGED = 3
/** What came in besides: no probes, or another run's. */
export const FOREIGN = 4
/** Intact, but so late that nobody knows any more whether a copy came before. */
export const LATE = 5
/** Of the round trips, nanoseconds. */
export const SHORTEST = 6
export const LONGEST = 7
export const SUM = 8
/** Of those returned, overtaken: the packets, and how many arrivals lie between the first that has overtaken one and itself. */
export const REORDERED = 9
export const EXTENT_SUM = 10
export const EXTENT_LONGEST = 11
/** Of those overtaken, those for which that is a lower limit. */
export const BEYOND = 12
/** Differences between round trips of packets that came in one after the other, nanoseconds. */
export const JITTER_PAIRS = 13
export const JITTER_SUM = 14
export const JITTER_LONGEST = 15
export const JITTER_SMOOTHED = 16
const FIELDS = 17

/** What `pktgen --latency` has found out: packets by fate, and round-trip times in microseconds. */
export interface Latency {
  readonly sent: number
  /** Came back intact, each counted once. */
  readonly returned: number
  /** Further copies of those. */
  readonly duplicated: number
  /** Of this run, but changed on their way: not measured. */
  readonly damaged: number
  /** Whatever else came in. */
  readonly foreign: number
  /** Came back too late to be told from a copy: not measured, and not among the returned. */
  readonly late: number
  /** sent - returned */
  readonly lost: number
  /** Measured: those returned. */
  readonly count: number
  /** From here on null if nothing was measured. */
  readonly min: number | null
  readonly mean: number | null
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly p999: number | null
  readonly p9999: number | null
  readonly p99999: number | null
  readonly max: number | null
}

/** The same with how they were distributed. */
export interface LatencyHistogram extends Latency {
  /** How many took at most so many microseconds, and longer than the entry before; of buckets a 32nd of an octave wide. */
  readonly histogram: readonly (readonly [microseconds: number, count: number])[]
}

/** How much round trips differ from one packet to the next that comes in (RFC 3550 §6.4.1), microseconds; null if nothing was measured. */
export interface Jitter {
  readonly mean: number | null
  readonly max: number | null
  /** The running average with a weight of 1/16 for the newest, at the end of the run; null where packets came in by several queues. */
  readonly smoothed: number | null
}

/** Packets that a later one has overtaken (RFC 4737). */
export interface Reordering {
  /** Packets whose place is known: those returned. */
  readonly of: number
  readonly reordered: number
  /** null if there is nothing to judge. */
  readonly ratio: number | null
  /** How many arrivals after the first packet that has overtaken it one came (§4.2.2). */
  readonly extentMean: number | null
  readonly extentMax: number | null
  /** Reordered packets for which that is not known any more: at least what is counted. */
  readonly beyond: number
  /** Order is that among the packets that one queue has sent and one has received. */
  readonly queues: number
}

/** One worker's; written by it only. */
export class LatencyBook {
  /** By the names above: exact doubles. */
  readonly fields: Float64Array
  readonly histogram: LogHistogram

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(FIELDS * 8 + LogHistogram.BYTES)
  }

  constructor(memory: SharedArrayBuffer) {
    this.fields = new Float64Array(memory, 0, FIELDS)
    this.histogram = new LogHistogram(new Float64Array(memory, FIELDS * 8))
  }

  /** A probe has come back for the first time, after so many nanoseconds. */
  measured(nanoseconds: number): void {
    const { fields } = this
    if (fields[RETURNED] === 0 || nanoseconds < fields[SHORTEST]) fields[SHORTEST] = nanoseconds
    if (nanoseconds > fields[LONGEST]) fields[LONGEST] = nanoseconds
    fields[SUM] += nanoseconds
    fields[RETURNED]++
    this.histogram.record(nanoseconds)
  }
}

function totalOf(books: readonly LatencyBook[], field: number): number {
  return books.reduce((all, { fields }) => all + fields[field], 0)
}

/** Packets sent that have not come back, of all workers. */
export function missingOf(books: readonly LatencyBook[]): number {
  return totalOf(books, SENT) - totalOf(books, RETURNED)
}

/** All workers' books together; null if there are none. */
export function latencyOf(books: readonly LatencyBook[]): Latency | null {
  if (books.length === 0) return null
  const sum = (field: number): number => totalOf(books, field)
  const counts = {
    sent: sum(SENT),
    returned: sum(RETURNED),
    duplicated: sum(DUPLICATED),
    damaged: sum(DAMAGED),
    foreign: sum(FOREIGN),
    late: sum(LATE),
    lost: missingOf(books),
    count: sum(RETURNED),
  }
  const used = books.filter(({ fields }) => fields[RETURNED] > 0)
  if (used.length === 0) return { ...counts, ...NOTHING_MEASURED }
  const histogram = together(used)
  const shortest = Math.min(...used.map(({ fields }) => fields[SHORTEST]))
  const longest = Math.max(...used.map(({ fields }) => fields[LONGEST]))
  /** Rounded up to the end of a bucket, but not beyond what was measured. */
  const microseconds = (share: number): number => Math.min(histogram.quantile(share), longest) / 1000
  return {
    ...counts,
    min: shortest / 1000,
    mean: Math.round(sum(SUM) / counts.returned) / 1000,
    p50: microseconds(0.5),
    p90: microseconds(0.9),
    p99: microseconds(0.99),
    p999: microseconds(0.999),
    p9999: microseconds(0.9999),
    p99999: microseconds(0.99999),
    max: longest / 1000,
  }
}

/** Of all workers together, each of which has its own order of arrival. */
export function jitterOf(books: readonly LatencyBook[]): Jitter {
  const sum = (field: number): number => totalOf(books, field)
  const pairs = sum(JITTER_PAIRS)
  if (pairs === 0) return { mean: null, max: null, smoothed: null }
  const used = books.filter(({ fields }) => fields[RETURNED] > 0)
  return {
    mean: Math.round(sum(JITTER_SUM) / pairs) / 1000,
    max: Math.max(...books.map(({ fields }) => fields[JITTER_LONGEST])) / 1000,
    smoothed: used.length === 1 ? Math.round(used[0].fields[JITTER_SMOOTHED]) / 1000 : null,
  }
}

/** Of all workers together; `queues`: how many there are. */
export function reorderingOf(books: readonly LatencyBook[], queues: number): Reordering {
  const sum = (field: number): number => totalOf(books, field)
  const [of, reordered] = [sum(RETURNED), sum(REORDERED)]
  return {
    of,
    reordered,
    ratio: of === 0 ? null : reordered / of,
    extentMean: reordered === 0 ? null : sum(EXTENT_SUM) / reordered,
    extentMax: reordered === 0 ? null : Math.max(...books.map(({ fields }) => fields[EXTENT_LONGEST])),
    beyond: sum(BEYOND),
    queues,
  }
}

export function latencyHistogramOf(books: readonly LatencyBook[]): LatencyHistogram | null {
  const latency = latencyOf(books)
  if (latency === null) return null
  const longest = latency.max ?? 0
  const histogram = together(books).coarse()
  return { ...latency, histogram: histogram.map(([end, count]) => [Math.min(end / 1000, longest), count]) }
}

function together(books: readonly LatencyBook[]): LogHistogram {
  const histogram = new LogHistogram()
  for (const book of books) histogram.add(book.histogram)
  return histogram
}

/** The same for those who watch; null if there are no books. */
export function roundTripsOf(books: readonly LatencyBook[]): RoundTrips | null {
  const latency = latencyOf(books)
  if (latency === null) return null
  const sum = totalOf(books, SUM)
  return { figures: { ...latency }, sum, histogram: together(books).coarse() }
}

const NOTHING_MEASURED = {
  min: null,
  mean: null,
  p50: null,
  p90: null,
  p99: null,
  p999: null,
  p9999: null,
  p99999: null,
  max: null,
}
