import type { RecordableHistogram } from 'node:perf_hooks'
import type { Latency } from './types.ts'

/** The percentiles of a histogram of nanoseconds; null if there is none or it is empty. */
export function latencyOf(histogram: RecordableHistogram | null): Latency | null {
  if (histogram === null || histogram.count === 0) return null
  const microseconds = (percentile: number): number => histogram.percentile(percentile) / 1000
  return {
    count: histogram.count,
    min: histogram.min / 1000,
    mean: Math.round(histogram.mean) / 1000,
    p50: microseconds(50),
    p90: microseconds(90),
    p99: microseconds(99),
    p999: microseconds(99.9),
    p9999: microseconds(99.99),
    p99999: microseconds(99.999),
    max: histogram.max / 1000,
  }
}
