import fc from 'fast-check'
import { LogHistogram } from '../../bench/lib/log-histogram.ts'

const durations = fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 200 })
const shares = fc.double({ min: 0, max: 1, noNaN: true })

function histogramOf(values: readonly number[]): LogHistogram {
  const histogram = new LogHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

test('a quantile is the value of that rank, at most 1/64 larger', () => {
  fc.assert(
    fc.property(durations, shares, (values, share) => {
      const sorted = [...values].sort((a, b) => a - b)
      const exact = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]
      const quantile = histogramOf(values).quantile(share)
      expect(quantile).toBeGreaterThanOrEqual(exact)
      expect(quantile).toBeLessThanOrEqual(exact < 128 ? exact : exact * (1 + 1 / 64))
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

test('added histograms are one of all values', () => {
  fc.assert(
    fc.property(durations, durations, (a, b) => {
      const sum = histogramOf(a)
      sum.add(histogramOf(b))
      expect(sum.total).toBe(a.length + b.length)
      expect(sum.counts).toEqual(histogramOf([...a, ...b]).counts)
    }),
  )
})

test('an empty one has no quantiles', () => {
  expect(new LogHistogram().quantile(0.5)).toBeNaN()
})
