import type { StatisticsBoard } from './statistics-board.ts'
import type { RunObserver } from './types.ts'

/**
 * Tells the observer every `seconds` what has changed. Intervals are counted from `start` (performance.now()), not from
 * each other: the lines of an hour stay an hour apart. Returns what ends it.
 */
export function reportIntervals(
  board: StatisticsBoard,
  observer: RunObserver,
  seconds: number,
  start: number,
): () => void {
  const period = seconds * 1000
  let number = 1
  let before = start
  const tick = (): void => {
    const now = performance.now()
    try {
      const time = Date.now()
      observer.interval({
        time,
        elapsed: (now - start) / 1000,
        seconds: (now - before) / 1000,
        ...board.interval(),
      })
    } catch {
      // A device that has gone is noticed and reported by the run's watch.
    }
    before = now
    number = Math.max(number + 1, Math.ceil((performance.now() - start) / period))
    timer = setTimeout(tick, start + number * period - performance.now())
  }
  let timer = setTimeout(tick, start + period - performance.now())
  return () => clearTimeout(timer)
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
