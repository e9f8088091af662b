/** Throughput (RFC 2544 §26.1), NDR and PDR (RFC 9971) of one frame size: one search with three goals. */
import type { RateResult } from './results.ts'
import {
  boundsOf,
  conditionalThroughput,
  type Goal,
  isReached,
  type Limits,
  nextTrial,
  type Proposal,
  type TrialResult,
} from './search.ts'

/** A load counts as offered if no more of it is missing. */
export const OFFERED = 0.998

/** A trial as the search hears of it. */
export type Tried =
  | {
      /** Frames per second of each direction that were offered in truth. */
      readonly offered: number
      readonly lossRatio: number
    }
  /** The tester couldn't offer the load, or take in what came. It can offer no more than so many frames per second. */
  | { readonly testerLimit: number }

export interface SearchResult {
  readonly rates: readonly RateResult[]
  /** The tester could offer no more frames per second of each direction; null: it has offered all that was to be. */
  readonly testerLimit: number | null
}

/**
 * At how many loads a goal may be tried until the search gives up: down in steps that double, down by halves, halves between the bounds,
 * and as many again, as a device that behaves otherwise each time may take all of it back. One that behaves takes a dozen.
 */
const MOST_LOADS = 70

/**
 * Searches for all goals at once. Where the tester reaches its own limit, that is the highest load from then on; such a trial says
 * nothing about the device. `known` is told after each trial what is known by then.
 */
export async function search(
  goals: readonly Goal[],
  given: Limits,
  short: number,
  measure: (proposal: Proposal, trials: readonly TrialResult[]) => Promise<Tried>,
  known: (result: SearchResult) => void = () => undefined,
): Promise<SearchResult> {
  const trials: TrialResult[] = []
  /** The least that was offered in truth at each load. */
  const offered = new Map<number, number>()
  let limits = given
  const result = (): SearchResult => ({
    rates: goals.map((goal) => rateOf(goal, limits, limits.max < given.max, trials, offered)),
    testerLimit: limits.max < given.max ? limits.max : null,
  })
  const spent = { trials: 0, seconds: 0 }
  const most = mostOf(goals)
  while (limits.max >= limits.min && spent.trials < most.trials && spent.seconds < most.seconds) {
    // What the tester can't offer any more is no bound that could be approached.
    const proposal = nextTrial(goals, limits, short, within(limits, trials))
    if (proposal === null) break
    spent.trials++
    spent.seconds += proposal.seconds
    const tried = await measure(proposal, trials)
    if ('testerLimit' in tried) {
      limits = { ...limits, max: Math.min(limits.max, tried.testerLimit) }
    } else {
      const { load, seconds } = proposal
      trials.push({ load, seconds, lossRatio: tried.lossRatio })
      offered.set(load, Math.min(tried.offered, offered.get(load) ?? Infinity))
    }
    known(result())
  }
  return result()
}

/** Trials, and their seconds, until a search gives up. */
export function mostOf(goals: readonly Goal[]): { readonly trials: number; readonly seconds: number } {
  const sum = (of: (goal: Goal) => number): number => goals.reduce((all, goal) => all + of(goal), 0)
  return {
    trials: MOST_LOADS * sum(({ sumSeconds, trialSeconds }) => Math.ceil(sumSeconds / trialSeconds) + 1),
    seconds: MOST_LOADS * sum(({ sumSeconds, trialSeconds }) => sumSeconds + trialSeconds),
  }
}

function within({ max }: Limits, trials: readonly TrialResult[]): TrialResult[] {
  return trials.filter(({ load }) => load <= max)
}

function rateOf(
  goal: Goal,
  limits: Limits,
  isTesterLimit: boolean,
  trials: readonly TrialResult[],
  offered: ReadonlyMap<number, number>,
): RateResult {
  const bounds = boundsOf(goal, trials)
  const { lower, upper } = bounds
  const reached = isReached(goal, limits, boundsOf(goal, within(limits, trials)))
  if (lower === null) return { load: null, forwarded: null, upper, reached, testerLimited: false }
  const load = offered.get(lower) ?? lower
  const forwarded = (conditionalThroughput(goal, lower, trials) * load) / lower
  const testerLimited = (isTesterLimit && lower >= limits.max) || load < lower * OFFERED
  return { load, forwarded, upper, reached, testerLimited }
}
