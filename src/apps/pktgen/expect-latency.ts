/** `--expect-latency p99=50us`: what round trips may take at most. */
import { IxyError, usageError } from '../../errors.ts'
import * as quantity from '../../quantity.ts'
import type { Latency } from './latency.ts'

export interface LatencyLimit {
  /** As the user wrote it. */
  readonly text: string
  readonly of: (latency: Latency) => number | null
  readonly microseconds: number
}

const FIGURES: Readonly<Record<string, LatencyLimit['of']>> = {
  p50: ({ p50 }) => p50,
  p90: ({ p90 }) => p90,
  p99: ({ p99 }) => p99,
  'p99.9': ({ p999 }) => p999,
  'p99.99': ({ p9999 }) => p9999,
  max: ({ max }) => max,
}
export const LATENCY_FIGURES: readonly string[] = Object.keys(FIGURES)

/** Longest time that can be asked for, seconds: round trips are measured up to three days. */
const LONGEST = 259_200

/** Adds the limit in `text` to those before it. Throws IXY_ERR_USAGE. */
export function addLatencyLimit(text: string, before: readonly LatencyLimit[] = []): readonly LatencyLimit[] {
  const [figure, time = ''] = text.split('=', 2)
  if (!Object.hasOwn(FIGURES, figure) || time === '') {
    throw usageError(
      `--expect-latency ${text} is not valid`,
      `give one of ${LATENCY_FIGURES.join(', ')} and a time, as in p99=50us, p99.9=1.5ms or max=2s`,
    )
  }
  const seconds = quantity.seconds(`--expect-latency ${figure}=`, time, 1e-9, LONGEST)
  return [...before, { text, of: FIGURES[figure], microseconds: seconds * 1e6 }]
}

/** The limits that the run has not kept, or could not be judged by. `latency`: null if nothing was measured at all. */
export function unmetLatency(latency: Latency | null, limits: readonly LatencyLimit[]): IxyError[] {
  return limits.flatMap((limit) => {
    const measured = latency === null ? null : limit.of(latency)
    if (measured === null) {
      return new IxyError(
        'IXY_ERR_EXPECTATION',
        `no round trip was measured, expected ${limit.text} at most (--expect-latency)`,
        'send to a device that brings packets back',
      )
    }
    if (measured <= limit.microseconds) return []
    return new IxyError(
      'IXY_ERR_EXPECTATION',
      `round trips took ${measured.toFixed(3)} us, expected ${limit.text} at most (--expect-latency)`,
    )
  })
}
