/** The tests of RFC 2544, one after the other, for one frame size after the other: which trials there are, and what follows from them. */
import { type Bench, Stopped, type TrialCounts } from './bench.ts'
import { longestBurst } from './burst-search.ts'
import { roughly, secondsPerSize } from './estimate.ts'
import { lineRateOf, loadOf, loadText } from './load.ts'
import type { Rfc2544Options, TestName } from './options.ts'
import { averageLatency, droppedHere, type LossPoint, type SizeResults, type TrialReport } from './results.ts'
import type { Goal } from './search.ts'
import { OFFERED, search, type SearchResult, type Tried } from './throughput.ts'

/** The smallest load that is tried, as a share of the largest. */
const SMALLEST_SHARE = 1e-4
/** Share of a load that is worth something all the same: its result is what was offered. */
const ALMOST = 0.9
/** What the tester is taken to be able to offer, of what it could, and to take in, of what it couldn't. */
const SAFE = { offering: 0.99, taking: 0.9 }
/** How often a load is tried that the tester couldn't manage: something else may have held it up. */
const ATTEMPTS = 2
/** Share of the time at a load in which trials of NDR and PDR may have lost too much (as FD.io CSIT has it). */
const EXCEED_RATIO = 0.5
/** Steps of the curve of frame loss, as a share of the most that is offered (RFC 2544 §26.3). */
const LOSS_STEP = 0.1
/** Seconds of the longest burst. */
const LONGEST_BURST = 2
/** Seconds in which somebody has to have reset the device, the shortest outage that is one, and how long it has to be over. */
const RESET = { within: 300, least: 0.1, steady: 5, lookEvery: 100 }

/** Who runs the trials. */
export type Trials = Pick<Bench, 'run' | 'learn' | 'pause' | 'outage' | 'halt'>

export interface Told {
  trial(report: TrialReport): void
  result(test: string, frameBytes: number, result: object): void
  progress(text: string): void
}

/** What is tested: index and bytes with FCS of a frame size, and what is known of it. */
interface Size {
  readonly index: number
  readonly results: SizeResults
}

export class Campaign {
  readonly sizes: SizeResults[] = []
  trials = 0
  /** Lanes that send, a bit each. */
  private readonly sending: number
  private readonly bench: Trials
  private readonly options: Rfc2544Options
  private readonly linkMbit: number
  private readonly lanes: number
  private readonly told: Told

  /** `lanes`: directions there are; in both of them devices have to be known, whether or not both are tested. */
  constructor(bench: Trials, options: Rfc2544Options, linkMbit: number, lanes: number, told: Told) {
    this.bench = bench
    this.options = options
    this.linkMbit = linkMbit
    this.lanes = lanes
    this.told = told
    this.sending = lanes === 2 && options.bidirectional ? 3 : 1
  }

  /** Resolves with whether all was done: false if it was stopped before. */
  async run(): Promise<boolean> {
    try {
      for (const [index, frameBytes] of this.options.frameSizes.entries())
        await this.runSize(index, frameBytes)
      return true
    } catch (error) {
      if (error instanceof Stopped) return false
      throw error
    }
  }

  private async runSize(index: number, frameBytes: number): Promise<void> {
    const { tests, maxLoad } = this.options
    const line = lineRateOf(frameBytes, this.linkMbit)
    const results: SizeResults = {
      frameBytes,
      lineRate: line,
      maxLoad: maxLoad === null ? line : Math.min(line, loadOf(maxLoad, frameBytes, this.linkMbit)),
      testerLimit: null,
      ...{ throughput: null, ndr: null, pdr: null, latency: null, loss: null, backToBack: null, reset: null },
    }
    this.sizes.push(results)
    const size = { index, results }
    const { length } = this.options.frameSizes
    const left = secondsPerSize(this.options) * (length - index)
    this.told.progress(`${frameBytes} bytes (${index + 1} of ${length}), about ${roughly(left)} left`)
    if (tests.includes('throughput')) await this.throughput(size)
    if (tests.includes('latency')) await this.latency(size)
    if (tests.includes('loss')) await this.frameLoss(size)
    if (tests.includes('back-to-back')) await this.backToBack(size)
    if (tests.includes('reset')) await this.reset(size)
  }

  /** Throughput, NDR and PDR. */
  private async throughput(size: Size): Promise<void> {
    const { durations, precision, pdrLoss } = this.options
    const { results } = size
    const { trial, short, sum } = durations
    const strict: Goal = {
      lossRatio: 0,
      exceedRatio: 0,
      trialSeconds: trial,
      sumSeconds: trial,
      width: precision,
    }
    const drop = { exceedRatio: EXCEED_RATIO, trialSeconds: short, sumSeconds: Math.max(short, sum) }
    const goals: readonly Goal[] = [
      strict,
      { ...drop, lossRatio: pdrLoss, width: Math.max(precision, pdrLoss) },
      { ...drop, lossRatio: 0, width: precision },
    ]
    const limits = { min: results.maxLoad * SMALLEST_SHARE, max: results.maxLoad }
    const note = ({ rates: [throughput, pdr, ndr], testerLimit }: SearchResult): void => {
      Object.assign(results, { throughput, pdr, ndr, testerLimit })
    }
    const measure = ({ load, seconds }: { load: number; seconds: number }): Promise<Tried> =>
      this.measure(size, load, seconds)
    note(await search(goals, limits, short, measure, note))
    const { throughput, ndr, pdr, testerLimit } = results
    this.told.result('throughput', results.frameBytes, { throughput, ndr, pdr, testerLimit })
  }

  /** What a load does to the device, or that the tester can't tell. */
  private async measure(size: Size, load: number, seconds: number): Promise<Tried> {
    const count = Math.max(1, Math.round(load * seconds))
    let best: TrialReport | null = null
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const report = await this.trial('throughput', size, load, count)
      if (report.unusable === null || best === null || report.offered > best.offered) best = report
      if (report.unusable === null) break
    }
    if (best === null || isDroppedHere(best)) return { testerLimit: load * SAFE.taking }
    const { offered, lost, sent } = best
    // What was almost offered is told as what was offered.
    if (offered < load * ALMOST) return { testerLimit: offered * SAFE.offering }
    return { offered, lossRatio: lost / sent }
  }

  /** At the throughput (§26.2), or the most there is. */
  private async latency(size: Size): Promise<void> {
    const { latency, latencyTrials } = this.options.durations
    const { results } = size
    const load = this.throughputOf(results)
    if (load === null) return
    const trials: TrialCounts[] = []
    for (let i = 0; i < latencyTrials; i++) {
      trials.push(await this.trial('latency', size, load, Math.max(1, Math.round(load * latency))))
      results.latency = averageLatency(load, trials)
    }
    this.told.result('latency', results.frameBytes, { latency: results.latency })
  }

  /** The load of tests that build on the throughput; null: there is none, everything is lost. */
  private throughputOf({ throughput, maxLoad }: SizeResults): number | null {
    return throughput === null ? maxLoad : throughput.load
  }

  /** From the most there is down, until nothing is lost twice in a row (§26.3). */
  private async frameLoss(size: Size): Promise<void> {
    const { results } = size
    const points: LossPoint[] = []
    results.loss = points
    for (let step = 0; step * LOSS_STEP < 1 - LOSS_STEP / 2; step++) {
      const share = Math.round((1 - step * LOSS_STEP) * 1e6) / 1e6
      const load = results.maxLoad * share
      const count = Math.max(1, Math.round(load * this.options.durations.trial))
      const { offered, sent, lost, unusable } = await this.trial('loss', size, load, count)
      points.push({ share, load, offered, sent, lost, lossRatio: sent === 0 ? 0 : lost / sent, unusable })
      if (points.length >= 2 && points.slice(-2).every((point) => point.lost === 0)) break
    }
    this.told.result('loss', results.frameBytes, { loss: points })
  }

  /** The longest burst at the highest load that loses nothing (§26.4). */
  private async backToBack(size: Size): Promise<void> {
    const { durations, precision } = this.options
    const { results } = size
    const load = Math.min(results.maxLoad, results.testerLimit ?? Infinity)
    const most = Math.round(load * LONGEST_BURST)
    const found: number[] = []
    let slowest = load
    let here = 0
    for (let i = 0; i < durations.bursts; i++) {
      const guess = found.at(-1) ?? most
      found.push(
        await longestBurst(most, precision, guess, async (frames) => {
          const burst = await this.trial('back-to-back', size, load, frames)
          slowest = Math.min(slowest, burst.offered)
          here += droppedHere([burst])
          return burst.lost === 0 && burst.sent === frames * this.directions
        }),
      )
      const average = found.reduce((sum, frames) => sum + frames, 0) / found.length
      const atLeast = found.some((frames) => frames === most)
      results.backToBack = {
        frames: Math.round(average * 10) / 10,
        searches: found.length,
        load: slowest,
        atLeast,
        droppedHere: here,
      }
    }
    this.told.result('back-to-back', results.frameBytes, { backToBack: results.backToBack })
  }

  /** How long the device passes nothing on while it is reset (RFC 6201). Whoever sits at it resets it. */
  private async reset(size: Size): Promise<void> {
    const { bench, told } = this
    const { results } = size
    const load = this.throughputOf(results)
    if (load === null) return
    const counts = await this.trial('reset', size, load, Math.round(load * RESET.within), async () => {
      told.progress('reset the device under test now')
      const deadline = performance.now() + RESET.within * 1000
      for (;;) {
        const outage = bench.outage()
        if (outage !== null && outage.seconds >= RESET.least && outage.ago >= RESET.steady) break
        if (performance.now() > deadline) break
        await bench.pause(RESET.lookEvery)
      }
      bench.halt()
    })
    const { lost, silence, offered } = counts
    if (silence >= RESET.least)
      results.reset = {
        load,
        byLoss: lost / (offered * this.directions),
        byTime: silence,
        lost,
        droppedHere: droppedHere([counts]),
      }
    told.result('reset', results.frameBytes, { reset: results.reset })
  }

  get directions(): number {
    return this.sending === 3 ? 2 : 1
  }

  private async trial(
    test: TestName,
    size: Size,
    load: number,
    count: number,
    whileSending?: () => Promise<void>,
  ): Promise<TrialReport> {
    const { bench, options, told, sending, lanes } = this
    const { index, results } = size
    const { frameBytes } = results
    this.trials++
    const number = this.trials
    told.progress(`${frameBytes} bytes, ${test}, trial ${number}: ${progressOf(load, count, results)}`)
    if (lanes === 2) await bench.learn(index)
    const counts = await bench.run({ size: index, load, count, lanes: sending }, whileSending)
    // What has lost too much of less than was asked for would not have lost less of all of it.
    const tooMuch = test === 'throughput' ? options.pdrLoss : 1
    const report = { number, test, frameBytes, load, ...counts, unusable: whyUnusable(load, counts, tooMuch) }
    told.trial(report)
    await bench.pause(options.durations.settle * 1000)
    return report
  }
}

/** Why a trial says nothing of the device at that load; null: it does. More loss than `tooMuch` is an answer in any case. */
function whyUnusable(load: number, counts: TrialCounts, tooMuch: number): string | null {
  const { offered, lost, sent } = counts
  if (isDroppedHere(counts)) return 'the tester could not take in all that came'
  if (offered < load * OFFERED && lost <= sent * tooMuch) return 'the tester could not offer that much'
  return null
}

/** Part of what is missing was lost at this end. */
function isDroppedHere(counts: TrialCounts): boolean {
  return counts.lost > 0 && droppedHere([counts]) > 0
}

function progressOf(load: number, count: number, { throughput }: SizeResults): string {
  const { load: lower = null, upper = null } = throughput ?? {}
  const known = [
    ...(lower === null ? [] : [`at least ${loadText(lower)}`]),
    ...(upper === null ? [] : [`less than ${loadText(upper)}`]),
  ]
  const found = known.length === 0 ? '' : `; the throughput is ${known.join(' and ')}`
  return `${loadText(load)} for ${Number((count / load).toPrecision(2))} s${found}`
}
