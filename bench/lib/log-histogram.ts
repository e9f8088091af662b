/**
 * Counts durations in buckets whose width grows with the value (as in HdrHistogram): exact below 128 ns, within 1/64
 * above, up to two seconds. A record is one increment; node:perf_hooks' histogram takes a call into C++ for it, which is
 * more than forwarding the packet.
 */

const SUB_BITS = 6
const SUB = 1 << SUB_BITS
const BUCKETS = (31 - SUB_BITS + 1) << SUB_BITS

export class LogHistogram {
  readonly counts: Float64Array

  constructor(counts = new Float64Array(BUCKETS)) {
    this.counts = counts
  }

  /** Not negative; more than 2^31 - 1 counts as that. */
  record(nanoseconds: number): void {
    const value = Math.min(nanoseconds, 2 ** 31 - 1) | 0
    const shift = Math.max(0, 31 - Math.clz32(value) - SUB_BITS)
    this.counts[(shift << SUB_BITS) + (value >>> shift)]++
  }

  add(other: LogHistogram): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i] += other.counts[i]
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0)
  }

  /** The duration, ns, that at least `share` of all don't exceed: the upper end of a bucket. NaN if there are none. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.total))
    let seen = 0
    for (let i = 0; i < this.counts.length; i++) {
      seen += this.counts[i]
      if (seen >= rank) return upperEnd(i)
    }
    return NaN
  }

  /** For each bucket that isn't empty: its upper end, ns, and the share of all durations above it. */
  exceedance(): { nanoseconds: number; share: number }[] {
    const { total } = this
    const points: { nanoseconds: number; share: number }[] = []
    let above = total
    for (let i = 0; i < this.counts.length; i++) {
      if (this.counts[i] === 0) continue
      above -= this.counts[i]
      points.push({ nanoseconds: upperEnd(i), share: above / total })
    }
    return points
  }
}

function upperEnd(bucket: number): number {
  if (bucket < 2 * SUB) return bucket
  const shift = (bucket >> SUB_BITS) - 1
  return ((bucket & (SUB - 1)) + SUB + 1) * 2 ** shift - 1
}
