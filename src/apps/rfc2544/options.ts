/** What `ixy-ts rfc2544` is asked for, and what it asks of its worker. */
import type { FramePlan } from '../pktgen/templates/frame-plan.ts'
import type { BoardMemory } from './board.ts'

export const TESTS = ['throughput', 'latency', 'loss', 'back-to-back', 'reset'] as const
export type TestName = (typeof TESTS)[number]

/** How long it takes, in seconds but for the counts. */
export interface Durations {
  /** A trial of throughput and frame loss. */
  readonly trial: number
  /** One that shows where to look, and those that NDR and PDR are made of, … */
  readonly short: number
  /** … and how long they take together at one load. */
  readonly sum: number
  /** A trial of latency, and how many there are. */
  readonly latency: number
  readonly latencyTrials: number
  /** Searches for the longest burst. */
  readonly bursts: number
  /** The wait for frames that are still under way, and for the device to come to rest. */
  readonly drain: number
  readonly settle: number
}

export interface Rfc2544Options {
  readonly tests: readonly TestName[]
  /** Bytes with FCS, as RFC 2544 counts. */
  readonly frameSizes: readonly number[]
  readonly durations: Durations
  /** The most that is offered, as written: `1Mpps`, `50%`; null: line rate. */
  readonly maxLoad: string | null
  /** How far apart the bounds of a rate may be, as a share of it. */
  readonly precision: number
  /** The loss that PDR allows, 0 to 1. */
  readonly pdrLoss: number
  readonly bidirectional: boolean
  readonly srcMac: string | null
  readonly dstMac: string | null
  /** Print a line for each trial and result. */
  readonly json: boolean
}

/** What the worker is told before the first trial. */
export interface Rfc2544Job {
  readonly board: BoardMemory
  /** Of each lane, where it begins and where it ends. */
  readonly lanes: readonly {
    readonly from: number
    readonly to: number
    readonly plans: readonly FramePlan[]
  }[]
}
