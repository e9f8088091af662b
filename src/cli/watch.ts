/** Follows the counters of every running ixy-ts: the work behind `ixy-ts stats`. */
import { type Hello, type Sample, type TelemetryClient, findTelemetry } from '../engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo, Traffic } from '../engine/types.ts'
import type { Reporter } from './output/reporter.ts'
import { type DeviceSummary, type Owner, Tally } from './output/tally.ts'

export interface WatchOptions {
  /** Where running processes have their sockets. */
  readonly directory: string
  /** Names of the devices to show, [] for all. */
  readonly devices: readonly string[]
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
}

/** One process that is watched. */
interface Watched {
  readonly client: TelemetryClient
  readonly tally: Tally
  readonly first: Sample
  newest: Sample
}

/** Resolves with null, and without a word to `reporter`, if there is nothing to watch at the start. */
export async function watch(options: WatchOptions, reporter: Reporter): Promise<WatchResult | null> {
  const { stop } = options
  const begin = performance.now()
  const elapsed = (): number => (performance.now() - begin) / 1000
  const end = options.duration ?? Infinity
  let live = await newcomers(options, new Set())
  const all = [...live]
  if (live.length === 0) return null
  reporter.start(
    live.flatMap(({ client }) => wantedOf(client.hello.devices, options.devices)),
    live.flatMap(({ client }) =>
      wantedOf(client.hello.devices, options.devices).map(() => ownerOf(client.hello)),
    ),
  )
  try {
    for (let tick = 1; ; tick++) {
      const due = Math.min(tick * options.interval, end)
      await sleepUntil(begin + due * 1000, stop)
      if (stop.aborted) break
      live = await sampled(live, options, reporter, elapsed)
      const found = await newcomers(options, new Set(live.map(({ client }) => client.hello.pid)))
      live.push(...found)
      all.push(...found)
      if (live.length === 0 || due >= end) break
    }
  } finally {
    for (const { client } of live) client.close()
  }
  return {
    elapsed: elapsed(),
    reason: stop.aborted ? 'signal' : live.length === 0 ? 'done' : 'duration',
    devices: all.flatMap((watched) => summaryOf(watched, options.devices)),
  }
}

async function newcomers(options: WatchOptions, known: ReadonlySet<number>): Promise<Watched[]> {
  const found: Watched[] = []
  for (const client of await findTelemetry(options.directory, known)) {
    const wanted = wantedOf(client.hello.devices, options.devices)
    const first = wanted.length > 0 ? await client.sample() : null
    if (first === null) client.close()
    else found.push({ client, tally: new Tally(), first, newest: first })
  }
  return found
}

/** Asks all of `live` for their counters, reports them, and returns those that have answered. */
async function sampled(
  live: readonly Watched[],
  options: WatchOptions,
  reporter: Reporter,
  elapsed: () => number,
): Promise<Watched[]> {
  const answers = await Promise.all(live.map(({ client }) => client.sample()))
  return live.filter((watched, i) => {
    const sample = answers[i]
    if (sample === null) {
      watched.client.close()
      return false
    }
    const seconds = sample.time - watched.newest.time
    const devices = wantedOf(difference(sample.devices, watched.newest.devices), options.devices)
    const totals = wantedOf(sample.devices, options.devices)
    const event = { time: Date.now(), elapsed: elapsed(), seconds, devices, totals }
    watched.newest = sample
    watched.tally.add(event)
    reporter.interval(
      event,
      devices.map(() => ownerOf(watched.client.hello)),
    )
    return true
  })
}

function summaryOf({ client, tally, first, newest }: Watched, wanted: readonly string[]): DeviceSummary[] {
  const counted = wantedOf(difference(newest.devices, first.devices), wanted)
  const owner = ownerOf(client.hello)
  return tally.summarize(counted, newest.time - first.time).map((device) => ({ ...device, owner }))
}

function wantedOf<T extends DeviceInfo | DeviceCounters>(all: readonly T[], wanted: readonly string[]): T[] {
  return all.filter(({ device }) => wanted.length === 0 || wanted.includes(device))
}

function ownerOf({ pid, command }: Hello): Owner {
  return { pid, command }
}

/** What was counted between two samples of one process. */
export function difference(
  now: readonly DeviceCounters[],
  before: readonly DeviceCounters[],
): DeviceCounters[] {
  return now.map((counters) => {
    const old = before.find(({ index, queue }) => index === counters.index && queue === counters.queue)
    if (old === undefined) return counters
    const dropped = Object.entries(counters.dropped).map(
      ([cause, packets]) => [cause, packets - (old.dropped[cause] ?? 0)] as const,
    )
    return {
      ...counters,
      rx: less(counters.rx, old.rx),
      tx: less(counters.tx, old.tx),
      dropped: Object.fromEntries(dropped),
    }
  })
}

function less(now: Traffic, before: Traffic): Traffic {
  return { packets: now.packets - before.packets, bytes: now.bytes - before.bytes }
}

/** Resolves at `time` (milliseconds, performance.now()) or when `stop` is aborted. */
export function sleepUntil(time: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      stop.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, Math.max(0, time - performance.now()))
    stop.addEventListener('abort', done)
  })
}
