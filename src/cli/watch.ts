/** Follows the counters of every running ixy-ts: the work behind `ixy-ts stats`. */
import { difference, everyInterval, intervalBetween } from '../engine/intervals.ts'
import { type Hello, type TelemetryClient, findTelemetry } from '../engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo, Sample } from '../engine/types.ts'
import type { Reporter } from './output/reporter.ts'
import { type AppSummary, type DeviceSummary, type Owner, Tally, type Total } from './output/tally.ts'

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
  readonly apps: readonly AppSummary[]
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
  const found: Found = { live: [], strangers: [], told: new Set() }
  const all: Watched[] = []
  try {
    all.push(...(await newcomers(options, found)))
    if (all.length === 0) return null
    reporter.start(
      all.flatMap(({ hello }) => wantedOf(hello.devices, options.devices)),
      all.flatMap(({ hello }) => wantedOf(hello.devices, options.devices).map(() => ownerOf(hello))),
    )
    const { interval: seconds, duration } = options
    await everyInterval({ start: begin, seconds, duration: duration ?? Infinity }, stop, async () => {
      found.live = await sampled(found.live, options, reporter, elapsed)
      all.push(...(await newcomers(options, found)))
      return found.live.length > 0
    })
  } finally {
    closeAll(found)
  }
  return {
    elapsed: elapsed(),
    reason: stop.aborted ? 'signal' : found.live.length === 0 ? 'done' : 'duration',
    devices: all.flatMap((watched) => summaryOf(watched, options.devices)),
    apps: all.flatMap(({ hello, first, newest }) => {
      const { app } = intervalBetween(first, newest, 0)
      return app === undefined ? [] : [{ name: app.name, counters: app.counters, owner: ownerOf(hello) }]
    }),
  }
}

/** What every running ixy-ts has counted so far, for `stats --once`. */
export async function totals(options: SearchOptions): Promise<{ devices: Total[]; apps: AppSummary[] }> {
  const found: Found = { live: [], strangers: [], told: new Set() }
  try {
    const all = await newcomers(options, found)
    return {
      devices: all.flatMap(({ hello, first }) =>
        wantedOf(first.devices, options.devices).map((counters) => ({ ...counters, owner: ownerOf(hello) })),
      ),
      apps: all.flatMap(({ hello, first: { app } }) =>
        app === undefined ? [] : [{ ...app, owner: ownerOf(hello) }],
      ),
    }
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
    const whole = intervalBetween(watched.newest, sample, elapsed())
    const [devices, totals] = [whole.devices, whole.totals].map((all) => wantedOf(all, options.devices))
    const event = { ...whole, devices, totals }
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
