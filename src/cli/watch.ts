/** Follows the counters of every running ixy-ts: the work behind `ixy-ts stats`. */
import { type Hello, type Sample, type TelemetryClient, findTelemetry } from '../engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo, Traffic } from '../engine/types.ts'
import type { Reporter } from './output/reporter.ts'
import { type DeviceSummary, type Owner, Tally, type Total } from './output/tally.ts'

export interface SearchOptions {
  /** Where running processes have their sockets. */
  readonly directory: string
  /** Names of the devices to show, [] for all. */
  readonly devices: readonly string[]
  /** Told of each process that doesn't answer, once, and when it does again. */
  readonly onSilence?: (process: Owner, silence: 'stopped' | 'hangs' | null) => void
}

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
}

/** One process that is watched. */
interface Watched {
  readonly client: TelemetryClient
  readonly tally: Tally
  readonly hello: Hello
  readonly first: Sample
  newest: Sample
}

/** The processes that a watch has found. */
interface Found {
  live: Watched[]
  /** Those that have not introduced themselves yet, because they are stopped or hang. */
  strangers: TelemetryClient[]
  /** Those of them all whose silence was told. */
  readonly told: Set<TelemetryClient>
}

/** Resolves with null, and without a word to `reporter`, if there is nothing to watch at the start. */
export async function watch(options: WatchOptions, reporter: Reporter): Promise<WatchResult | null> {
  const { stop } = options
  const begin = performance.now()
  const elapsed = (): number => (performance.now() - begin) / 1000
  const end = options.duration ?? Infinity
  const found: Found = { live: [], strangers: [], told: new Set() }
  const all: Watched[] = []
  try {
    all.push(...(await newcomers(options, found)))
    if (all.length === 0) return null
    reporter.start(
      all.flatMap(({ hello }) => wantedOf(hello.devices, options.devices)),
      all.flatMap(({ hello }) => wantedOf(hello.devices, options.devices).map(() => ownerOf(hello))),
    )
    for (let tick = 1; ; tick++) {
      const due = Math.min(tick * options.interval, end)
      await sleepUntil(begin + due * 1000, stop)
      if (stop.aborted) break
      found.live = await sampled(found.live, options, reporter, elapsed)
      all.push(...(await newcomers(options, found)))
      if (found.live.length === 0 || due >= end) break
    }
  } finally {
    closeAll(found)
  }
  return {
    elapsed: elapsed(),
    reason: stop.aborted ? 'signal' : found.live.length === 0 ? 'done' : 'duration',
    devices: all.flatMap((watched) => summaryOf(watched, options.devices)),
  }
}

/** What every running ixy-ts has counted so far, for `stats --once`. */
export async function totals(options: SearchOptions): Promise<Total[]> {
  const found: Found = { live: [], strangers: [], told: new Set() }
  try {
    const all = await newcomers(options, found)
    return all.flatMap(({ hello, first }) =>
      wantedOf(first.devices, options.devices).map((counters) => ({ ...counters, owner: ownerOf(hello) })),
    )
  } finally {
    closeAll(found)
  }
}

function closeAll({ live, strangers }: Found): void {
  for (const { client } of live) client.close()
  for (const client of strangers) client.close()
}

/** Looks for processes that aren't watched yet, adds them to `found` and returns them. */
async function newcomers(options: SearchOptions, found: Found): Promise<Watched[]> {
  const known = [...found.live.map(({ client }) => client), ...found.strangers]
  const [others] = await Promise.all([
    findTelemetry(options.directory, new Set(known.map(({ file }) => file))),
    ...found.strangers.map((client) => client.greet()),
  ])
  const candidates = [...found.strangers, ...others]
  found.strangers = candidates.filter(({ hello, ended }) => hello === null && !ended)
  const watched = (await Promise.all(candidates.map((client) => begun(client, options.devices)))).flat()
  found.live.push(...watched)
  tellSilence(options, found)
  return watched
}

/** Starts watching a process that has introduced itself and has one of the wanted devices. */
async function begun(client: TelemetryClient, wanted: readonly string[]): Promise<Watched[]> {
  const { hello } = client
  if (hello === null) return []
  const first = wantedOf(hello.devices, wanted).length > 0 ? await client.sample() : null
  if (first !== null) return [{ client, hello, tally: new Tally(), first, newest: first }]
  client.close()
  return []
}

function tellSilence({ onSilence }: SearchOptions, { live, strangers, told }: Found): void {
  for (const client of [...live.map((watched) => watched.client), ...strangers]) {
    const { silence, hello, pid } = client
    if ((silence !== null) === told.has(client)) continue
    if (silence === null) told.delete(client)
    else told.add(client)
    if (!client.ended) onSilence?.({ pid, command: hello?.command ?? 'ixy-ts' }, silence)
  }
}

/** Asks all of `live` for their counters, reports them, and returns those that have not ended. */
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
      // One that is stopped may go on.
      if (watched.client.ended) watched.client.close()
      return !watched.client.ended
    }
    const seconds = sample.time - watched.newest.time
    const devices = wantedOf(difference(sample.devices, watched.newest.devices), options.devices)
    const totals = wantedOf(sample.devices, options.devices)
    const event = { time: Date.now(), elapsed: elapsed(), seconds, devices, totals }
    watched.newest = sample
    watched.tally.add(event)
    reporter.interval(
      event,
      devices.map(() => ownerOf(watched.hello)),
    )
    return true
  })
}

function summaryOf({ hello, tally, first, newest }: Watched, wanted: readonly string[]): DeviceSummary[] {
  const counted = wantedOf(difference(newest.devices, first.devices), wanted)
  const owner = ownerOf(hello)
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
