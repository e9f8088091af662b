import fc from 'fast-check'
import { LogHistogram } from '../../../src/apps/pktgen/log-histogram.ts'

const duration = fc.oneof(
  fc.nat(5000),
  fc.nat(2 ** 31),
  fc.maxSafeNat().map((value) => value % 2 ** 48),
)
const durations = fc.array(duration, { minLength: 1, maxLength: 200 })
const shares = fc.double({ min: 0, max: 1, noNaN: true })

function histogramOf(values: readonly number[]): LogHistogram {
  const histogram = new LogHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

test('a quantile is the value of that rank, at most 1/1024 larger', () => {
  fc.assert(
    fc.property(durations, shares, (values, share) => {
      const sorted = [...values].sort((a, b) => a - b)
      const exact = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]
      const quantile = histogramOf(values).quantile(share)
      expect(quantile).toBeGreaterThanOrEqual(exact)
      expect(quantile).toBeLessThanOrEqual(exact < 2048 ? exact : exact * (1 + 1 / 1024))
    }),
  )
})

test('the share above a bucket is that of the values above it', () => {
  fc.assert(
    fc.property(durations, (values) => {
      const points = histogramOf(values).exceedance()
      for (const { nanoseconds, share } of points) {
        const above = values.filter((value) => value > nanoseconds).length
        expect(share * values.length).toBeCloseTo(above)
      }
      expect(points.at(-1)?.share).toBe(0)
    }),
  )
})

test('coarse buckets hold the same, at most 1/32 or 32 ns above, and each power of two less one ends one', () => {
  fc.assert(
    fc.property(durations, (values) => {
      const buckets = histogramOf(values).coarse()
      const ends = buckets.map(([longest]) => longest)
      expect(ends).toEqual([...new Set(ends)].sort((a, b) => a - b))
      let before = -1
      for (const [longest, count] of buckets) {
        const own = values.filter((value) => value > before && value <= longest)
        expect(own).toHaveLength(count)
        expect(longest).toBeLessThanOrEqual(Math.max(Math.min(...own) + 32, Math.min(...own) * (1 + 1 / 32)))
        before = longest
      }
      for (let bits = 5; bits <= 48; bits++) {
        const upTo = buckets.reduce((sum, [longest, count]) => (longest < 2 ** bits ? sum + count : sum), 0)
        expect(upTo).toBe(values.filter((value) => value < 2 ** bits).length)
      }
    }),
  )
})

test('added histograms are one of all values', () => {
  fc.assert(
    fc.property(durations, durations, (a, b) => {
      const sum = histogramOf(a)
      sum.add(histogramOf(b))
      expect(sum.total).toBe(a.length + b.length)
      expect(sum.exceedance()).toEqual(histogramOf([...a, ...b]).exceedance())
    }),
  )
})

test('the end of the scale: longer ones count as the longest', () => {
  const longest = 2 ** 48 - 1
  const histogram = histogramOf([2 ** 31 - 1, 2 ** 31, longest, 2 ** 50])
  expect(histogram.total).toBe(4)
  expect(histogram.exceedance().at(-1)).toEqual({ nanoseconds: longest, share: 0 })
})

test('an empty one has no quantiles', () => {
  expect(new LogHistogram().quantile(0.5)).toBeNaN()
})
