/** Reports at regular times: of a run, of `stats`, of a server. */
import type {
  AppInterval,
  AppTotals,
  DeviceCounters,
  IntervalEvent,
  RunObserver,
  Sample,
  Traffic,
} from './types.ts'
import type { StatisticsBoard } from './statistics-board.ts'
import { sleep } from './wait.ts'

/**
 * Calls `tick` at every multiple of `seconds` after `start` (performance.now()), and at the end, which is a 'rest' if it is no
 * multiple; one that returns false ends it. Multiples are counted from the start, not from each other: the lines of an hour
 * stay an hour apart. One that is over when its turn comes is left out. Resolves after `duration` seconds, or when `stop` is
 * aborted.
 */
export async function everyInterval(
  { start, seconds, duration }: { start: number; seconds: number; duration: number },
  stop: AbortSignal,
  tick: (kind: 'whole' | 'rest') => unknown,
): Promise<void> {
  for (let number = 1; ;) {
    const due = Math.min(number * seconds, duration)
    await sleep(Math.max(0, start + due * 1000 - performance.now()), stop)
    if (stop.aborted || (await tick(due < number * seconds ? 'rest' : 'whole')) === false || due >= duration)
      return
    number = Math.max(number + 1, Math.ceil((performance.now() - start) / 1000 / seconds))
  }
}

/** What has happened between two samples. `elapsed`: seconds since the reports began. */
export function intervalBetween(before: Sample, now: Sample, elapsed: number): IntervalEvent {
  return {
    time: Date.now(),
    elapsed,
    seconds: now.time - before.time,
    devices: difference(now.devices, before.devices),
    totals: now.devices,
    ...(now.app === undefined ? {} : { app: appInterval(now.app, before.app) }),
  }
}

/** What was counted between two samples of one process; of what the earlier one lacks, everything. */
export function difference(
  now: readonly DeviceCounters[],
  before: readonly DeviceCounters[],
): DeviceCounters[] {
  return now.map((counters, place) => {
    const old = before[place]
    if (old === undefined) return counters
    const { rx, tx, dropped } = counters
    return {
      ...counters,
      rx: traffic(rx, old.rx),
      tx: traffic(tx, old.tx),
      dropped: less(dropped, old.dropped),
    }
  })
}

function appInterval({ name, counters }: AppTotals, before: AppTotals | undefined): AppInterval {
  return { name, counters: less(counters, before?.counters ?? {}), total: counters }
}

function traffic(now: Traffic, before: Traffic): Traffic {
  return { packets: now.packets - before.packets, bytes: now.bytes - before.bytes }
}

function less(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.entries(now).map(([name, count]) => [name, count - (before[name] ?? 0)]))
}

/** Tells the observer every `seconds` what has changed since, counted from `start` (performance.now()). Returns what ends it. */
export function reportIntervals(
  sample: () => Sample,
  observer: RunObserver,
  seconds: number,
  start: number,
): () => void {
  const over = new AbortController()
  let before: Sample = { time: start / 1000, devices: [] }
  void everyInterval({ start, seconds, duration: Infinity }, over.signal, () => {
    try {
      const now = sample()
      observer.interval(intervalBetween(before, now, now.time - start / 1000))
      before = now
    } catch {
      // A device that has gone is noticed and reported by the run's watch.
    }
  })
  return () => over.abort()
}

/** Milliseconds between two looks at whether the cards' counters must be read; in a run that may sleep. */
const KEEP_UP_EVERY = 100
const KEEP_UP_IDLE = 1_000

/** Sees to it that no counter of a card sticks, whatever the interval. Returns what ends it. */
export function keepCounting(board: StatisticsBoard, idle: boolean): () => void {
  const timer = setInterval(
    () => {
      try {
        board.keepUp(performance.now())
      } catch {
        // As above.
      }
    },
    idle ? KEEP_UP_IDLE : KEEP_UP_EVERY,
  )
  return () => clearInterval(timer)
}
