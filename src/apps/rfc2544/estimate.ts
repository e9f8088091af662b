/** How long it will take: roughly, as the device has a say in it. */
import type { Durations, Rfc2544Options, TestName } from './options.ts'

/** Loads that a search tries with short trials, with full ones, and that NDR and PDR decide; bursts of a search, and its seconds each. */
const SHORT_LOADS = 14
const FULL_LOADS = 2
const DECIDED_LOADS = 4
const BURSTS = 8
const BURST = 1
/** Loads of the curve of frame loss; all of ten are rare. */
const CURVE = 6

/** Half of the trials lose something, and are waited for. */
export function secondsPerSize({ tests, durations }: Pick<Rfc2544Options, 'tests' | 'durations'>): number {
  const { trial, short, sum, latency, latencyTrials, bursts, drain, settle } = durations
  const one = (seconds: number): number => seconds + drain / 2 + settle
  const each: Readonly<Record<TestName, number>> = {
    throughput:
      SHORT_LOADS * one(short) + FULL_LOADS * one(trial) + DECIDED_LOADS * decided({ short, sum }, one),
    latency: latencyTrials * one(latency),
    loss: CURVE * one(trial),
    'back-to-back': bursts * BURSTS * one(BURST),
    reset: 60,
  }
  return tests.reduce((all, test) => all + each[test], 0)
}

function decided({ short, sum }: Pick<Durations, 'short' | 'sum'>, one: (seconds: number) => number): number {
  return Math.ceil(sum / short) * one(short)
}

/** `50 s`, `4 min`, `2.5 h` */
export function roughly(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds / 10) * 10} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 360) / 10} h`
}
