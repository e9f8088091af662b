import { everyInterval, intervalBetween, reportIntervals } from '../../src/engine/intervals.ts'
import type { DeviceCounters, IntervalEvent, RunObserver, Sample } from '../../src/engine/types.ts'

const counters = (packets: number, dropped: Record<string, number> = {}, sent = 0): DeviceCounters => ({
  index: 0,
  device: 'a',
  queue: null,
  rx: { packets, bytes: packets * 60 },
  tx: { packets: sent, bytes: sent * 70 },
  dropped,
})

describe('reports', () => {
  const never = new AbortController().signal

  test('come at multiples of the interval, and the rest at the end', async () => {
    const kinds: string[] = []
    const start = performance.now()
    await everyInterval({ start, seconds: 0.02, duration: 0.05 }, never, (kind) => kinds.push(kind))
    // One that is over when its turn comes is left out.
    expect(kinds.at(-1)).toBe('rest')
    expect(kinds.length).toBeLessThanOrEqual(3)
    expect(performance.now() - start).toBeGreaterThanOrEqual(49)
  })

  test('end with a whole one, with false, and when they are stopped', async () => {
    const kinds: string[] = []
    const options = { start: performance.now(), seconds: 0.01, duration: 0.01 }
    await everyInterval(options, never, (kind) => kinds.push(kind))
    expect(kinds).toEqual(['whole'])
    await everyInterval({ ...options, duration: Infinity }, never, () => false)
    const stop = new AbortController()
    let ticks = 0
    await everyInterval({ ...options, duration: Infinity }, stop.signal, () => {
      if (++ticks === 2) stop.abort()
    })
    expect(ticks).toBe(2)
  })

  test('that were slept through are left out, and the next is at its own time', async () => {
    const start = performance.now()
    const at: number[] = []
    await everyInterval({ start, seconds: 0.05, duration: Infinity }, never, () => {
      at.push(performance.now() - start)
      // Busy until the second is over.
      while (at.length === 1 && performance.now() - start < 120);
      return at.length < 2
    })
    // Timers may be a millisecond early.
    expect(at[1]).toBeGreaterThan(148)
  })
})

test('an interval is what the counters have grown by, also of a drop that is new', () => {
  const before = {
    time: 10,
    devices: [counters(5, { crc: 3 }, 1)],
    app: { name: 'x', counters: { seen: 3 } },
  }
  const devices = [counters(9, { crc: 7, missed: 2 }, 4)]
  const now = { time: 12, devices, app: { name: 'x', counters: { seen: 7 } } }
  expect(intervalBetween(before, now, 12)).toMatchObject({
    seconds: 2,
    devices: [
      {
        rx: { packets: 4, bytes: 240 },
        tx: { packets: 3, bytes: 210 },
        dropped: { crc: 4, missed: 2 },
      },
    ],
    totals: devices,
    app: { counters: { seen: 4 }, total: { seen: 7 } },
  })
})

test('each report is of what has come since the one before, the first since the start', async () => {
  const start = performance.now()
  let samples = 0
  const sample = (): Sample => ({ time: start / 1000 + ++samples, devices: [counters(10 ** samples)] })
  const told: IntervalEvent[] = []
  let end = (): void => undefined
  await new Promise<void>((resolve) => {
    const interval = (event: IntervalEvent): void => {
      if (told.push(event) === 3) resolve()
    }
    end = reportIntervals(sample, { interval } as RunObserver, 0.005, start)
  })
  end()
  expect(told.map(({ elapsed, seconds }) => [elapsed, seconds].map(Math.round))).toEqual([
    [1, 1],
    [2, 1],
    [3, 1],
  ])
  expect(told.map(({ devices }) => devices[0].rx.packets)).toEqual([10, 90, 900])
})
