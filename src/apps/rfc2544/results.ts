/** What the tests find out, for one frame size each. Loads are frames per second of each direction. */
import type { Latency } from '../pktgen/latency.ts'
import type { TrialCounts } from './bench.ts'
import type { TestName } from './options.ts'

/** One trial, as it is told. */
export interface TrialReport extends TrialCounts {
  readonly number: number
  readonly test: TestName
  readonly frameBytes: number
  /** What was to be offered; `offered` is what was. */
  readonly load: number
  /** Why it says nothing of the device; null: it does. */
  readonly unusable: string | null
}

/** A rate that was searched for. */
export interface RateResult {
  /** The highest load that meets the goal, as it was offered; null: none does, or the search hasn't come to it. */
  readonly load: number | null
  /** What came through then. */
  readonly forwarded: number | null
  /** The smallest load that is known not to meet it; null: none is known. */
  readonly upper: number | null
  /** The search is at its end. */
  readonly reached: boolean
  /** `load` is what the tester could do: what the device can is not less. */
  readonly testerLimited: boolean
}

export interface LatencyResult {
  readonly load: number
  readonly trials: number
  /** Of all trials, microseconds: the shortest and the longest; of the other values the average over the trials. */
  readonly min: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly lost: number
  /** Of these, what the tester itself has dropped. */
  readonly droppedHere: number
}

/** A point of the curve of frame loss. */
export interface LossPoint {
  /** Of the most that is offered. */
  readonly share: number
  readonly load: number
  readonly offered: number
  readonly sent: number
  readonly lost: number
  readonly lossRatio: number
  /** Why it says nothing of the device; null: it does. */
  readonly unusable: string | null
}

export interface BurstResult {
  /** Average over the searches of the longest burst without loss, frames of each direction. */
  readonly frames: number
  readonly searches: number
  /** At which the bursts were sent. */
  readonly load: number
  /** No burst of what fits into the longest time lost anything: there may be longer ones. */
  readonly atLeast: boolean
  /** Of what was lost, frames that the tester itself has dropped: the device may take longer ones. */
  readonly droppedHere: number
}

export interface ResetResult {
  readonly load: number
  /** Frames that were lost, divided by the load, seconds (RFC 6201 §4.1). */
  readonly byLoss: number
  /** The longest time in which nothing came through, seconds (RFC 6201 §4.2). */
  readonly byTime: number
  readonly lost: number
  /** Of these, what the tester itself has dropped. */
  readonly droppedHere: number
}

export interface SizeResults {
  /** With FCS. */
  readonly frameBytes: number
  /** Frames per second that the link carries. */
  readonly lineRate: number
  /** The most that is offered. */
  readonly maxLoad: number
  /** The tester itself could offer, or take in, no more than that; null: it could do all that it was to. */
  testerLimit: number | null
  throughput: RateResult | null
  ndr: RateResult | null
  pdr: RateResult | null
  latency: LatencyResult | null
  loss: readonly LossPoint[] | null
  backToBack: BurstResult | null
  reset: ResetResult | null
}

export interface Rfc2544Result {
  /** All was done; false: a signal, or --duration, came before. */
  readonly complete: boolean
  readonly directions: number
  readonly linkMbit: number
  readonly trials: number
  readonly sizes: readonly SizeResults[]
}

/** Frames that the tester itself has dropped. */
export function droppedHere(trials: readonly TrialCounts[]): number {
  return trials.flatMap((trial) => Object.values(trial.droppedHere)).reduce((sum, frames) => sum + frames, 0)
}

/** Of trials that have measured something. */
export function averageLatency(load: number, trials: readonly TrialCounts[]): LatencyResult | null {
  const measured = trials.flatMap(({ latency }) => (latency === null ? [] : [latency]))
  if (measured.length === 0) return null
  const values = (of: keyof Latency): number[] => measured.map((latency) => latency[of] ?? 0)
  const average = (of: keyof Latency): number =>
    Math.round((values(of).reduce((sum, value) => sum + value, 0) / measured.length) * 1000) / 1000
  return {
    load,
    trials: measured.length,
    min: Math.min(...values('min')),
    mean: average('mean'),
    p50: average('p50'),
    p90: average('p90'),
    p99: average('p99'),
    p999: average('p999'),
    max: Math.max(...values('max')),
    lost: trials.reduce((sum, { lost }) => sum + lost, 0),
    droppedHere: droppedHere(trials),
  }
}
