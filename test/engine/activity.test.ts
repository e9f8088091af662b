import { activeSeconds, spansOf } from '../../src/engine/activity.ts'

const span = (first: number, last: number) => ({ first, last })

test('is from the first packet of all to the last of all', () => {
  const spans = [span(5000, 6000), null, span(5500, 9000)]
  expect(activeSeconds(spans, 1e9, 10)).toBeCloseTo(4, 6)
})

test('a steady stream has its rate, however few its packets', () => {
  // Ten packets at 10 pps: the last comes 0.9 s after the first.
  expect(activeSeconds([span(100, 1000)], 10, 5)).toBeCloseTo(1, 9)
})

test('the time of the one more is never longer than the run', () => {
  expect(activeSeconds([span(0, 4000)], 2, 4.2)).toBe(4.2)
})

test('what moved before and after the run has its time as well', () => {
  // A link of 812,745 packets per second, from 0.8 ms before the start to 1.4 ms after the end.
  const packets = 408_162
  expect(packets / activeSeconds([span(999.2, 1501.4)], packets, 0.5)).toBeCloseTo(812_745, -1)
})

test('begins when a worker has put the first packet into a ring, and ends when a virtual card has sent the last', () => {
  const cards = [span(1005, 1500), null]
  const workers = [span(1001, 1700), null, span(1002, 1600)]
  expect(activeSeconds(spansOf(cards, workers, false), 1e9, 10)).toBeCloseTo(0.499, 6)
  expect(activeSeconds(spansOf(cards, workers, true), 1e9, 10)).toBeCloseTo(0.699, 6)
  expect(activeSeconds(spansOf([], workers, true), 1e9, 10)).toBeCloseTo(0.699, 6)
})

test('is nothing where nothing moved, and the run where everything moved at once', () => {
  expect(activeSeconds([null, null], 0, 5)).toBe(0)
  expect(activeSeconds([], 0, 5)).toBe(0)
  expect(activeSeconds([span(7, 7)], 200, 5)).toBe(5)
  expect(activeSeconds([null], 200, 5)).toBe(5)
  expect(activeSeconds([span(7, 8)], 1, 5)).toBe(5)
})
