/** Percentiles of what lies between two histograms. */
import type { RoundTrips } from '../../engine/app.ts'
import type { IntervalLatency } from './state.ts'

type Histogram = RoundTrips['histogram']

/** Microseconds, each the longest of its bucket; null if nothing was measured in between. */
export function intervalLatency(now: Histogram, before: Histogram): IntervalLatency | null {
  const old = new Map(before)
  const buckets = now
    .map(([longest, count]) => ({ longest, count: count - (old.get(longest) ?? 0) }))
    .filter(({ count }) => count > 0)
  const all = buckets.reduce((sum, { count }) => sum + count, 0)
  if (all === 0) return null
  const percentile = (share: number): number => {
    const rank = Math.max(1, Math.ceil(share * all))
    let seen = 0
    const found = buckets.find(({ count }) => (seen += count) >= rank)
    return (found ?? buckets[buckets.length - 1]).longest / 1000
  }
  return {
    count: all,
    p50: percentile(0.5),
    p90: percentile(0.9),
    p99: percentile(0.99),
    p999: percentile(0.999),
    max: percentile(1),
  }
}
