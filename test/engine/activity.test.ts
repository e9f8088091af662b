import { activeSeconds } from '../../src/engine/activity.ts'

const span = (first: number, last: number) => ({ first, last })

test('is from the first packet of all to the last of all', () => {
  const spans = [span(5000, 6000), null, span(5500, 9000)]
  expect(activeSeconds(spans, 1e9, 10)).toBeCloseTo(4, 6)
})

test('a steady stream has its rate, however few its packets', () => {
  // Ten packets at 10 pps: the last comes 0.9 s after the first.
  expect(activeSeconds([span(100, 1000)], 10, 5)).toBeCloseTo(1, 9)
})

test('is never longer than the run', () => {
  expect(activeSeconds([span(0, 4000)], 2, 4.2)).toBe(4.2)
})

test('is nothing where nothing moved, and the run where everything moved at once', () => {
  expect(activeSeconds([null, null], 0, 5)).toBe(0)
  expect(activeSeconds([], 0, 5)).toBe(0)
  expect(activeSeconds([span(7, 7)], 200, 5)).toBe(5)
  expect(activeSeconds([null], 200, 5)).toBe(5)
  expect(activeSeconds([span(7, 8)], 1, 5)).toBe(5)
})
