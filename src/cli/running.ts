/** The running ixy-ts processes that `stats` watches: finds them, asks them, and notices those that are silent. */
import { type Hello, type TelemetryClient, findTelemetry } from '../engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo, Sample } from '../engine/types.ts'
import type { Owner } from './output/tally.ts'

export interface SearchOptions {
  /** Where running processes have their sockets. */
  readonly directory: string
  /** Names of the devices to show, [] for all. */
  readonly devices: readonly string[]
  /** Told of each process that doesn't answer, once, and when it does again. */
  readonly onSilence?: (process: Owner, silence: 'stopped' | 'hangs' | null) => void
}

/** One process that is watched. */
export interface Watched {
  readonly client: TelemetryClient
  readonly hello: Hello
  /** What it said first, and last. */
  readonly first: Sample
  newest: Sample
}

/** What a process has said, and what it had said before. */
export interface Answer {
  readonly watched: Watched
  readonly before: Sample
}

export class Running {
  /** Those that have introduced themselves, have one of the wanted devices, and have not ended. */
  live: readonly Watched[] = []
  private readonly options: SearchOptions
  /** Those that have not introduced themselves yet, because they are stopped or hang. */
  private strangers: readonly TelemetryClient[] = []
  /** Those of them all whose silence was told. */
  private readonly told = new Set<TelemetryClient>()

  constructor(options: SearchOptions) {
    this.options = options
  }

  /** Those of the strangers that don't answer, with the reason. */
  get silentStrangers(): readonly string[] {
    return this.strangers
      .filter(({ silence }) => silence !== null)
      .map(({ pid, silence }) => `pid ${pid} ${silence === 'stopped' ? 'is stopped' : "doesn't answer"}`)
  }

  /** Looks for processes that aren't watched yet, and returns them. */
  async newcomers(): Promise<readonly Watched[]> {
    const known = [...this.live.map(({ client }) => client), ...this.strangers]
    const [others] = await Promise.all([
      findTelemetry(this.options.directory, new Set(known.map(({ file }) => file))),
      ...this.strangers.map((client) => client.greet()),
    ])
    const candidates = [...this.strangers, ...others]
    this.strangers = candidates.filter(({ hello, ended }) => hello === null && !ended)
    const watched = (await Promise.all(candidates.map((client) => this.begun(client)))).flat()
    this.live = [...this.live, ...watched]
    this.tellSilence()
    return watched
  }

  /** Asks all of `live` for their counters, and lets go of those that have ended. Returns what the others say, but for silent ones. */
  async ask(): Promise<readonly Answer[]> {
    const samples = await Promise.all(this.live.map(({ client }) => client.sample()))
    const answers: Answer[] = []
    this.live = this.live.filter((watched, i) => {
      const sample = samples[i]
      if (sample !== null) {
        answers.push({ watched, before: watched.newest })
        watched.newest = sample
        return true
      }
      // One that is stopped may go on.
      if (watched.client.ended) watched.client.close()
      return !watched.client.ended
    })
    return answers
  }

  close(): void {
    for (const { client } of this.live) client.close()
    for (const client of this.strangers) client.close()
  }

  /** Of all these, those of the wanted devices. */
  wanted<T extends DeviceInfo | DeviceCounters>(all: readonly T[]): T[] {
    const { devices } = this.options
    return all.filter(({ device }) => devices.length === 0 || devices.includes(device))
  }

  /** Starts watching a process that has introduced itself and has one of the wanted devices. */
  private async begun(client: TelemetryClient): Promise<Watched[]> {
    const { hello } = client
    if (hello === null) return []
    const first = this.wanted(hello.devices).length > 0 ? await client.sample() : null
    if (first !== null) return [{ client, hello, first, newest: first }]
    client.close()
    return []
  }

  private tellSilence(): void {
    for (const client of [...this.live.map((watched) => watched.client), ...this.strangers]) {
      const { silence, hello, pid } = client
      if ((silence !== null) === this.told.has(client)) continue
      if (silence === null) this.told.delete(client)
      else this.told.add(client)
      if (!client.ended) this.options.onSilence?.({ pid, command: hello?.command ?? 'ixy-ts' }, silence)
    }
  }
}

export function ownerOf({ pid, command }: Hello): Owner {
  return { pid, command }
}
