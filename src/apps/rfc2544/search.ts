/**
 * Multiple Loss Ratio search (MLRsearch, RFC 9971): the highest loads at which a device under test loses no more than it may, for
 * several goals at once, of as few and short trials as will do.
 *
 * It is a function of the trials that there have been. Which load is a bound of a goal says classify(), by rules that every implementation has
 * in common; which trial comes next says nextTrial():
 *
 *     the most there can be → what came out then → halves, by short trials → the two loads found, by full trials → halves
 *
 * What is known of one goal counts for the others. A load is a bound once and for all trials at it, so a trial that contradicts an earlier
 * one moves a bound; the smallest upper bound is believed, whatever went well above it.
 */

/** What is searched for. */
export interface Goal {
  /** Share of the frames that may be lost in a trial, 0 to 1. */
  readonly lossRatio: number
  /** Share of the time at one load, below 1, in which trials may have lost more. */
  readonly exceedRatio: number
  /** Seconds of a trial that counts in full. */
  readonly trialSeconds: number
  /** Seconds of such trials after which a load is decided, at least `trialSeconds`. */
  readonly sumSeconds: number
  /** How far apart the two bounds may be at the end, as a share of the upper one. */
  readonly width: number
}

/** What one trial has found. */
export interface TrialResult {
  /** Frames per second that were offered. */
  readonly load: number
  readonly seconds: number
  /** 0 to 1. */
  readonly lossRatio: number
}

export type LoadClass = 'lower' | 'upper' | 'undecided'

/** What `trials`, all of one load, make of it: a lower bound of the goal, an upper one, or neither yet (RFC 9971, appendix A). */
export function classify(goal: Goal, trials: readonly TrialResult[]): LoadClass {
  const { exceedRatio } = goal
  // Seconds of full and of short trials, with loss and without.
  const full = { lossy: 0, clean: 0 }
  const short = { lossy: 0, clean: 0 }
  for (const trial of trials) {
    const seconds = isFull(goal, trial) ? full : short
    seconds[trial.lossRatio > goal.lossRatio ? 'lossy' : 'clean'] += trial.seconds
  }
  // Short trials without loss prove nothing, but they weigh against short ones with loss.
  const excess = short.lossy - (short.clean * exceedRatio) / (1 - exceedRatio)
  const low = full.clean
  const high = full.lossy + Math.max(0, excess)
  const whole = Math.max(high + low, goal.sumSeconds)
  const allowed = whole * exceedRatio * (1 + ROUNDING)
  if (high > allowed) return 'upper'
  return whole - low <= allowed ? 'lower' : 'undecided'
}

const ROUNDING = 1e-9

function isFull(goal: Goal, { seconds }: TrialResult): boolean {
  return seconds >= goal.trialSeconds * (1 - ROUNDING)
}

/** Loads, frames per second; null: not found. */
export interface Bounds {
  /** The highest lower bound below `upper`. */
  readonly lower: number | null
  /** The smallest upper bound. */
  readonly upper: number | null
}

export function boundsOf(goal: Goal, trials: readonly TrialResult[]): Bounds {
  const loads = byLoad(trials)
  const upper = loads.find(([, at]) => classify(goal, at) === 'upper')?.[0] ?? null
  const lower = loads.findLast(
    ([load, at]) => (upper === null || load < upper) && classify(goal, at) === 'lower',
  )
  return { lower: lower?.[0] ?? null, upper }
}

/** From the smallest load up. */
function byLoad(trials: readonly TrialResult[]): [number, TrialResult[]][] {
  const loads = new Map<number, TrialResult[]>()
  for (const trial of trials) {
    const at = loads.get(trial.load)
    if (at === undefined) loads.set(trial.load, [trial])
    else at.push(trial)
  }
  return [...loads].sort(([a], [b]) => a - b)
}

/** Between which loads is searched, frames per second. */
export interface Limits {
  readonly min: number
  readonly max: number
}

export interface Proposal {
  readonly load: number
  readonly seconds: number
}

/** The next trial for the first goal that is not reached; null: all are. `short`: seconds of a trial that is to show where to look. */
export function nextTrial(
  goals: readonly Goal[],
  limits: Limits,
  short: number,
  trials: readonly TrialResult[],
): Proposal | null {
  for (const goal of goals) {
    const proposal = proposalFor(goal, limits, short, trials)
    if (proposal !== null) return proposal
  }
  return null
}

function proposalFor(
  goal: Goal,
  limits: Limits,
  short: number,
  trials: readonly TrialResult[],
): Proposal | null {
  const seconds = goal.trialSeconds
  const bounds = boundsOf(goal, trials)
  if (isReached(goal, limits, bounds)) return null
  // What has been begun is decided first, or what the first of its trials say would lead on and on.
  const begun = byLoad(trials).findLast(
    ([load, at]) => isInside(load, bounds) && at.filter((trial) => isFull(goal, trial)).length > 1,
  )
  if (begun !== undefined) return { load: begun[0], seconds }
  const hint = hintOf(goal, limits, short, trials)
  if (hint !== null && 'seconds' in hint) return hint
  return { load: loadFor(goal, limits, trials, bounds, hint), seconds }
}

function isInside(load: number, { lower, upper }: Bounds): boolean {
  return load > (lower ?? -Infinity) && load < (upper ?? Infinity)
}

/** The bounds are close enough, or there is nothing to be found beyond one of them. */
export function isReached({ width }: Goal, { min, max }: Limits, { lower, upper }: Bounds): boolean {
  if (upper !== null && upper <= min) return true
  if (upper === null) return lower !== null && lower >= max
  return lower !== null && upper - lower <= upper * width * (1 + ROUNDING)
}

/** What single short trials say: a trial that is missing for that, or the bounds that they have found. null: they are of no use. */
function hintOf(
  goal: Goal,
  limits: Limits,
  short: number,
  trials: readonly TrialResult[],
): Proposal | Bounds | null {
  const trialSeconds = Math.min(short, goal.trialSeconds)
  if (trialSeconds === goal.sumSeconds) return null
  // They have been contradicted: it takes more of them, or longer ones, to see what this device loses.
  const meets = ({ lossRatio }: TrialResult): boolean => lossRatio <= goal.lossRatio
  if (byLoad(trials).some(([, at]) => at.some(meets) && classify(goal, at) === 'upper')) return null
  const quick = { ...goal, trialSeconds, sumSeconds: trialSeconds }
  const bounds = boundsOf(quick, trials)
  if (isReached(quick, limits, bounds)) return bounds
  return { load: loadFor(quick, limits, trials, bounds, null), seconds: trialSeconds }
}

/** Where to look next for the bounds of a goal that is not reached. */
function loadFor(
  goal: Goal,
  limits: Limits,
  trials: readonly TrialResult[],
  bounds: Bounds,
  hint: Bounds | null,
): number {
  const { lower, upper } = bounds
  const inside = (load: number | null): load is number => load !== null && isInside(load, bounds)
  if (hint !== null) {
    if (inside(hint.lower)) return hint.lower
    if (inside(hint.upper)) return hint.upper
  }
  const begun = byLoad(trials).findLast(
    ([load, at]) => inside(load) && at.some((trial) => isFull(goal, trial)),
  )
  if (begun !== undefined) return begun[0]
  if (upper === null) return limits.max
  if (lower !== null) return (lower + upper) / 2
  return Math.max(limits.min, Math.min(below(goal, upper, trials), cameOut(upper, trials)))
}

/** As far below an upper bound as the goal is wide, or twice as far as it is below one that is close; at most half of it. */
function below(goal: Goal, upper: number, trials: readonly TrialResult[]): number {
  const next = byLoad(trials).find(
    ([load, at]) => load > upper && classify(goal, at) === 'upper' && at.some((trial) => isFull(goal, trial)),
  )
  const isClose = next !== undefined && next[0] <= 2 * upper * (1 + ROUNDING)
  const step = isClose ? (2 * (next[0] - upper)) / upper : 0
  return upper * (1 - Math.min(0.5, Math.max(goal.width, step)))
}

/** How much of a load came out in the best trial. */
function cameOut(load: number, trials: readonly TrialResult[]): number {
  return (
    load * (1 - Math.min(...trials.filter((trial) => trial.load === load).map(({ lossRatio }) => lossRatio)))
  )
}

/** Frames per second that came out at a lower bound: of its full trials, the one that all but `exceedRatio` of the time was as good as. */
export function conditionalThroughput(goal: Goal, lower: number, trials: readonly TrialResult[]): number {
  const full = trials
    .filter((trial) => trial.load === lower && isFull(goal, trial))
    .sort((a, b) => a.lossRatio - b.lossRatio)
  let remaining = full.reduce((sum, { seconds }) => sum + seconds, 0) * (1 - goal.exceedRatio)
  let lossRatio = 1
  for (const trial of full) {
    if (remaining <= 0) break
    lossRatio = trial.lossRatio
    remaining -= trial.seconds
  }
  return lower * (1 - lossRatio)
}
