/**
 * Counts durations in buckets whose width grows with the value (as in HdrHistogram): exact below 2 µs, within 1/1024
 * above, up to three days. A record is one increment; node:perf_hooks' histogram takes a call into C++ for it, which is
 * more than forwarding the packet.
 */

const SUB_BITS = 10
const SUB = 1 << SUB_BITS
/** Buckets that coarse() makes one of. */
const COARSE = SUB / 32
const MAX_BITS = 48
const BUCKETS = (MAX_BITS - SUB_BITS + 1) << SUB_BITS
const LONGEST = 2 ** MAX_BITS - 1
/** Longer ones don't fit 32-bit integers; their lowest bits don't matter. */
const LONG = 2 ** 31
const LONG_SHIFT = MAX_BITS - 31

export class LogHistogram {
  static readonly BYTES = BUCKETS * 8
  readonly counts: Float64Array<ArrayBufferLike>

  /** `counts`: BYTES of zeros, or another one's. */
  constructor(counts: Float64Array<ArrayBufferLike> = new Float64Array(BUCKETS)) {
    this.counts = counts
  }

  /** Not negative; more than 2^48 - 1 counts as that. */
  record(nanoseconds: number): void {
    if (nanoseconds < LONG) this.increment(nanoseconds | 0, 0)
    else this.increment((Math.min(nanoseconds, LONGEST) / 2 ** LONG_SHIFT) | 0, LONG_SHIFT)
  }

  private increment(value: number, shifted: number): void {
    const shift = Math.max(0, 31 - Math.clz32(value) - SUB_BITS)
    this.counts[((shift + shifted) << SUB_BITS) + (value >>> shift)]++
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

  /**
   * The same in 32 buckets an octave (of 32 ns below 2 µs), each by its upper end, ns; empty ones are left out. Every power of two
   * less one, from 31 on, ends a bucket.
   */
  coarse(): [number, number][] {
    const buckets: [number, number][] = []
    for (let first = 0; first < this.counts.length; first += COARSE) {
      let count = 0
      for (let i = first; i < first + COARSE; i++) count += this.counts[i]
      if (count > 0) buckets.push([upperEnd(first + COARSE - 1), count])
    }
    return buckets
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
