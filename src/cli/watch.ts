/** Follows the counters of every running ixy-ts: the work behind `ixy-ts stats`. */
import { difference, everyInterval, intervalBetween } from '../engine/intervals.ts'
import type { Reporter } from './output/reporter.ts'
import { type AppSummary, type DeviceSummary, Tally, type Total } from './output/tally.ts'
import { type Answer, Running, type SearchOptions, type Watched, ownerOf } from './running.ts'

export interface WatchOptions extends SearchOptions {
  /** Seconds. */
  readonly interval: number
  /** Seconds, null: until `stop` or until nothing is left to watch. */
  readonly duration: number | null
  readonly stop: AbortSignal
}

export interface WatchResult {
  readonly elapsed: number
  readonly reason: 'duration' | 'done' | 'signal'
  /** What was counted while watching. */
  readonly devices: readonly DeviceSummary[]
  readonly apps: readonly AppSummary[]
}

/** Resolves with null, and without a word to `reporter`, if there is nothing to watch at the start. */
export async function watch(options: WatchOptions, reporter: Reporter): Promise<WatchResult | null> {
  const { interval: seconds, duration, stop } = options
  const begin = performance.now()
  const elapsed = (): number => (performance.now() - begin) / 1000
  const running = new Running(options)
  const all = new Map<Watched, Tally>()
  const meet = async (): Promise<void> => {
    for (const watched of await running.newcomers()) all.set(watched, new Tally())
  }
  const tell = ({ watched, before }: Answer): void => {
    const { hello, newest } = watched
    const whole = intervalBetween(before, newest, elapsed())
    const event = { ...whole, devices: running.wanted(whole.devices), totals: running.wanted(whole.totals) }
    all.get(watched)?.add(event)
    reporter.interval(
      event,
      event.devices.map(() => ownerOf(hello)),
    )
  }
  try {
    await meet()
    if (all.size === 0) return null
    const infos = [...all.keys()].map(({ hello }) => ({ hello, devices: running.wanted(hello.devices) }))
    reporter.start(
      infos.flatMap(({ devices }) => devices),
      infos.flatMap(({ hello, devices }) => devices.map(() => ownerOf(hello))),
    )
    await everyInterval({ start: begin, seconds, duration: duration ?? Infinity }, stop, async () => {
      for (const answer of await running.ask()) tell(answer)
      await meet()
      return running.live.length > 0
    })
  } finally {
    running.close()
  }
  return {
    elapsed: elapsed(),
    reason: stop.aborted ? 'signal' : running.live.length === 0 ? 'done' : 'duration',
    devices: [...all].flatMap(([{ hello, first, newest }, tally]) => {
      const counted = running.wanted(difference(newest.devices, first.devices))
      const owner = ownerOf(hello)
      return tally.summarize(counted, newest.time - first.time).map((device) => ({ ...device, owner }))
    }),
    apps: [...all.keys()].flatMap(({ hello, first, newest }) => {
      const { app } = intervalBetween(first, newest, 0)
      return app === undefined ? [] : [{ name: app.name, counters: app.counters, owner: ownerOf(hello) }]
    }),
  }
}

/** What every running ixy-ts has counted so far, for `stats --once`. */
export async function totals(options: SearchOptions): Promise<{ devices: Total[]; apps: AppSummary[] }> {
  const running = new Running(options)
  try {
    const all = await running.newcomers()
    return {
      devices: all.flatMap(({ hello, first }) =>
        running.wanted(first.devices).map((counters) => ({ ...counters, owner: ownerOf(hello) })),
      ),
      apps: all.flatMap(({ hello, first: { app } }) =>
        app === undefined ? [] : [{ ...app, owner: ownerOf(hello) }],
      ),
    }
  } finally {
    running.close()
  }
}
