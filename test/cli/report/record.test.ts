import type { RunData, Stretch } from '../../../src/cli/report/model.ts'
import { RunRecord } from '../../../src/cli/report/record.ts'
import { Series } from '../../../src/cli/report/series.ts'
import { HOSTILE, end, interval, start } from './runs.ts'

function dataOf(...objects: readonly object[]): RunData {
  const record = new RunRecord()
  for (const object of objects) record.add((object as { event: string }).event, object)
  return record.data('run')
}

const packets = (stretches: readonly Stretch[]): number =>
  stretches.reduce((sum, { rx }) => sum + rx.packets, 0)
const seconds = (stretches: readonly Stretch[]): number =>
  stretches.reduce((sum, one) => sum + one.seconds, 0)

test('of a hundred thousand intervals a thousand at most are kept, and every packet', () => {
  const record = new RunRecord()
  record.add('start', start())
  let total = 0
  for (let i = 1; i <= 100_000; i++) {
    const count = i % 7
    total += count
    record.add('interval', interval(i, 1, count, total))
  }
  record.add('end', end(100_000.5, total + 3))
  const { series, notes, totals } = record.data('run')
  const [{ stretches }] = series
  expect(stretches.length).toBeGreaterThan(499)
  expect(stretches.length).toBeLessThanOrEqual(1001)
  expect(packets(stretches)).toBe(total + 3)
  expect(seconds(stretches)).toBeCloseTo(100_000.5)
  expect(stretches.at(-1)?.end).toBe(100_000.5)
  expect(Math.max(...stretches.map(({ rx }) => rx.high))).toBe(6)
  expect(Math.min(...stretches.slice(0, -1).map(({ rx }) => rx.low))).toBe(0)
  expect(notes).toEqual(['128 intervals are drawn as one; bands show the lowest and highest of them.'])
  expect(totals[0].rx.packets).toBe(total + 3)
  // Asked again, it has not become more.
  expect(packets(record.data('run').series[0].stretches)).toBe(total + 3)
})

test('what lines that are missing have counted is there, in the time that they were for', () => {
  const { series, notes } = dataOf(start(), interval(1, 1, 10, 10), interval(5, 1, 20, 100), end(5, 100))
  const [{ stretches }] = series
  expect(stretches.map((one) => [one.end, one.seconds, one.rx.packets])).toEqual([
    [1, 1, 10],
    [4, 3, 70],
    [5, 1, 20],
  ])
  expect(stretches.map(({ rx, tx }) => [rx.bytes, tx.bytes])).toEqual([
    [600, 600],
    [4200, 4200],
    [1200, 1200],
  ])
  expect(notes).toEqual(['Lines of intervals are missing; their counts are in those that follow.'])
})

test('lines are missing as well if only what was sent in their time tells so', () => {
  const total = {
    rx: { packets: 30, bytes: 1800 },
    tx: { packets: 100, bytes: 6000 },
    dropped: { missed: 0 },
  }
  const { notes } = dataOf(start(), interval(1, 1, 10, 10), { ...interval(5, 1, 20, 30), total })
  expect(notes).toContain('Lines of intervals are missing; their counts are in those that follow.')
})

test('drops of intervals that are drawn as one are added up, by cause', () => {
  const series = new Series(2)
  const traffic = { packets: 1, bytes: 60 }
  for (let i = 1; i <= 7; i++)
    series.add(i, 1, {
      rx: traffic,
      tx: traffic,
      dropped: i % 2 === 0 ? { missed: i } : { missed: 1, crc: i },
    })
  const dropped = series.stretches.map((stretch) => stretch.dropped)
  expect(dropped.reduce((sum, { missed }) => sum + missed, 0)).toBe(4 + 2 + 4 + 6)
  expect(dropped.reduce((sum, { crc = 0 }) => sum + crc, 0)).toBe(1 + 3 + 5 + 7)
})

test('of a link that goes up and down all the time the first changes are kept, and the others counted', () => {
  const link = { event: 'link', time: '2026-01-02T03:04:05.067Z', device: HOSTILE, index: 0, up: true }
  const { links, notes } = dataOf(start(), ...Array<object>(1003).fill(link), end(5, 0))
  expect(links).toHaveLength(1000)
  expect(notes).toContain('3 further changes of links are left out.')
})

test('without its end a run has the totals of its last interval, and says so', () => {
  const { totals, reason, notes, elapsed } = dataOf(start(), interval(1, 1, 10, 10), interval(2, 1, 30, 40))
  expect({ reason, elapsed }).toEqual({ reason: null, elapsed: 2 })
  expect(totals[0].tx).toEqual({ packets: 40, bytes: 2400, packetsPerSecond: 20, bitsPerSecond: 20 * 84 * 8 })
  expect(notes[0]).toMatch(/^The end of the run is missing/)
})

test('what a process has counted before stats looked at it is not part of what it shows', () => {
  const { series, notes } = dataOf(
    start('stats'),
    interval(1, 1, 10, 5010),
    interval(2, 1, 20, 5030),
    end(2, 30),
  )
  expect(packets(series[0].stretches)).toBe(30)
  expect(notes).toEqual([])
})
