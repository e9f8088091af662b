import { everyInterval, intervalBetween } from '../../src/engine/intervals.ts'
import type { DeviceCounters } from '../../src/engine/types.ts'

const counters = (packets: number, dropped: Record<string, number> = {}): DeviceCounters => ({
  index: 0,
  device: 'a',
  queue: null,
  rx: { packets, bytes: packets * 60 },
  tx: { packets: 0, bytes: 0 },
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
  const before = { time: 10, devices: [counters(5)], app: { name: 'x', counters: { seen: 3 } } }
  const now = { time: 12, devices: [counters(9, { missed: 2 })], app: { name: 'x', counters: { seen: 7 } } }
  expect(intervalBetween(before, now, 12)).toMatchObject({
    seconds: 2,
    devices: [{ rx: { packets: 4, bytes: 240 }, dropped: { missed: 2 } }],
    totals: [{ rx: { packets: 9 } }],
    app: { counters: { seen: 4 }, total: { seen: 7 } },
  })
})
