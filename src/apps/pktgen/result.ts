/** What a run of pktgen has found out, of all workers together. */
import type { Answered } from './answerer.ts'
import {
  type Jitter,
  jitterOf,
  type Latency,
  LatencyBook,
  type LatencyHistogram,
  latencyHistogramOf,
  latencyOf,
  type Reordering,
  reorderingOf,
} from './latency.ts'
import type { WireLatency } from './wire-times.ts'
import type { PktgenJob, PktgenOptions, PktgenTally } from './options.ts'

/** One stream of a profile. */
export interface StreamResult {
  readonly name: string
  /** Packets handed to the card. */
  readonly sent: number
  /** With --latency: of these, those that came back intact, and the others. */
  readonly returned: number | null
  readonly lost: number | null
}

export interface PktgenResult {
  /** With --latency. */
  readonly probes: {
    readonly latency: Latency | LatencyHistogram
    readonly jitter: Jitter
    readonly reordering: Reordering
    /** By the card's own clock. */
    readonly wire: WireLatency
  } | null
  /** Of a profile. */
  readonly streams: readonly StreamResult[] | null
  /** With --answer. */
  readonly answered: Answered | null
}

/** What workers have found out about probes: by stream, of all of them; [] of each without --latency. */
export function booksOf({ streams }: PktgenOptions, jobs: readonly PktgenJob[]): LatencyBook[][] {
  return (streams ?? [null]).map((_, stream) =>
    jobs.flatMap(({ probe }) => (probe === null ? [] : [new LatencyBook(probe.books[stream])])),
  )
}

/** `tallies`: what workers have told, of those that could. `wire`: what the card has. */
export function resultOf(
  options: PktgenOptions,
  jobs: readonly PktgenJob[],
  tallies: readonly unknown[],
  wire: WireLatency,
): PktgenResult {
  const { streams, answer } = options
  const told = tallies.filter((tally): tally is PktgenTally => tally !== null && tally !== undefined)
  const books = booksOf(options, jobs)
  return {
    probes: probesOf(books, jobs.length, wire),
    streams: streams?.map(({ name }, i) => streamOf(name, i, books[i], told)) ?? null,
    answered: answer.length === 0 ? null : answeredOf(told),
  }
}

function probesOf(
  books: readonly (readonly LatencyBook[])[],
  queues: number,
  wire: WireLatency,
): PktgenResult['probes'] {
  const latency = latencyHistogramOf(books.flat())
  if (latency === null) return null
  return { latency, jitter: jitterOf(books.flat()), reordering: reorderingOf(books.flat(), queues), wire }
}

function streamOf(
  name: string,
  stream: number,
  books: readonly LatencyBook[],
  told: readonly PktgenTally[],
): StreamResult {
  const latency = latencyOf(books)
  return {
    name,
    sent: told.reduce((sum, { sent }) => sum + sent[stream], 0),
    returned: latency?.returned ?? null,
    lost: latency?.lost ?? null,
  }
}

function answeredOf(told: readonly PktgenTally[]): Answered {
  const sum = (name: keyof Answered): number => told.reduce((all, { answered }) => all + answered[name], 0)
  return { arp: sum('arp'), neighbour: sum('neighbour'), ping: sum('ping') }
}
