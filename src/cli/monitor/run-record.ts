/** What is known of one run: made of what it says, interval by interval. */
import path from 'node:path'
import { type IntervalEvent, type Sample } from '../../engine/types.ts'
import { intervalBetween } from '../../engine/intervals.ts'
import type { DeviceCounters, Traffic } from '../../engine/types.ts'
import { labels } from '../output/layout.ts'
import { digits } from '../../wording.ts'
import { rateOf } from '../output/rates.ts'
import type { Running, Watched } from '../running.ts'
import { intervalLatency } from './latency.ts'
import type {
  AppState,
  DeviceState,
  HistoryEntry,
  LatencyState,
  QueueState,
  RateEntry,
  RunState,
  TrafficState,
  WorkerState,
} from './state.ts'
import { sum } from '../../sum.ts'

/** Intervals that are kept: a minute, at one a second. */
export const HISTORY = 60

type Interval = Pick<IntervalEvent, 'seconds' | 'devices' | 'app'>

/** A device, or one of its queues. */
interface Row {
  readonly counters: DeviceCounters
  /** What it has counted in the last interval. */
  readonly change: DeviceCounters | null
  readonly peaks: { readonly rx: Peak; readonly tx: Peak } | null
}

interface Peak {
  packets: number
  bits: number
}

export class RunRecord {
  private readonly watched: Watched
  private readonly running: Running
  /** By the place of the entry in a sample. */
  private readonly peaks: { rx: Peak; tx: Peak }[] = []
  private readonly past: HistoryEntry[] = []
  private newest: RunState

  constructor(watched: Watched, running: Running) {
    this.watched = watched
    this.running = running
    this.newest = this.describe(watched.first, null, null)
  }

  get state(): RunState {
    return this.newest
  }

  /** The last HISTORY intervals, oldest first. */
  get history(): readonly HistoryEntry[] {
    return this.past
  }

  /** Another answer has come; `before`: the one before. `time`: when, RFC 3339. */
  take(before: Sample, time: string): void {
    const { newest } = this.watched
    const interval = intervalBetween(before, newest, 0)
    interval.devices.forEach(({ rx, tx }, place) => {
      const peaks = (this.peaks[place] ??= { rx: { packets: 0, bits: 0 }, tx: { packets: 0, bits: 0 } })
      raise(peaks.rx, rx, interval.seconds)
      raise(peaks.tx, tx, interval.seconds)
    })
    this.newest = this.describe(newest, interval, before)
    this.past.push({
      time,
      devices: this.newest.devices.map((device) => ({
        ...rateEntry(device),
        queues: device.queues.map((queue) => rateEntry(queue)),
      })),
      latency: this.newest.latency?.interval ?? null,
    })
    if (this.past.length > HISTORY) this.past.shift()
  }

  /** It doesn't answer: its last totals stand, its rates are unknown. */
  fallSilent(): void {
    this.newest = this.describe(this.watched.newest, null, null)
  }

  private describe(sample: Sample, interval: Interval | null, before: Sample | null): RunState {
    const { client, hello } = this.watched
    const { pid, command, version, startedAt = null } = hello
    return {
      id: path.basename(client.file, '.sock'),
      pid,
      command,
      version,
      startedAt,
      state: client.silence ?? 'running',
      seconds: interval === null ? null : digits(interval.seconds),
      devices: this.devices(sample, interval),
      workers: workersOf(sample, before),
      app: appOf(sample, interval),
      latency: latencyOf(sample, before),
    }
  }

  private devices(sample: Sample, interval: Interval | null): DeviceState[] {
    const rows = sample.devices.map((counters, place): Row => ({
      counters,
      change: interval?.devices[place] ?? null,
      peaks: this.peaks[place] ?? null,
    }))
    const seconds = interval?.seconds ?? 0
    const infos = this.running.wanted(this.watched.hello.devices)
    const names = labels(this.watched.hello.devices)
    return infos.flatMap((info) => {
      const own = rows.filter(({ counters }) => counters.index === info.index)
      const whole = own.find(({ counters }) => counters.queue === null)
      if (whole === undefined) return []
      const link = sample.links?.find(({ index }) => index === info.index)
      const wires = sample.wires?.find(({ index }) => index === info.index)
      return [
        {
          device: info.device,
          index: info.index,
          label: names[info.index] ?? info.device,
          model: info.model,
          mac: info.mac,
          access: info.access,
          linkUp: link?.up ?? info.linkUp,
          linkMbit: link?.mbit ?? info.linkMbit,
          ...countersState(whole, seconds),
          queues: own.flatMap((row): QueueState[] =>
            row.counters.queue === null
              ? []
              : [{ queue: row.counters.queue, ...countersState(row, seconds) }],
          ),
          wires: wires?.wires ?? [],
          breaches: wires?.breaches ?? [],
        },
      ]
    })
  }
}

function raise(peak: Peak, traffic: Traffic, seconds: number): void {
  const { mpps, mbit } = rateOf(traffic, seconds)
  peak.packets = Math.max(peak.packets, mpps * 1e6)
  peak.bits = Math.max(peak.bits, mbit * 1e6)
}

function countersState({ counters, change, peaks }: Row, seconds: number): Omit<QueueState, 'queue'> {
  const direction = (name: 'rx' | 'tx'): TrafficState => {
    const rate = change === null ? null : rateOf(change[name], seconds)
    return {
      packets: counters[name].packets,
      bytes: counters[name].bytes,
      packetsPerSecond: rate === null ? null : digits(rate.mpps * 1e6),
      bitsPerSecond: rate === null ? null : digits(rate.mbit * 1e6),
      peakPacketsPerSecond: peaks === null ? null : digits(peaks[name].packets),
      peakBitsPerSecond: peaks === null ? null : digits(peaks[name].bits),
    }
  }
  return {
    rx: direction('rx'),
    tx: direction('tx'),
    dropped: counters.dropped,
    droppedPerSecond: perSecond(someOf(change?.dropped ?? {}), seconds),
  }
}

function rateEntry({ rx, tx, droppedPerSecond }: Omit<QueueState, 'queue'>): Omit<RateEntry, 'queues'> {
  return {
    rxPacketsPerSecond: rx.packetsPerSecond ?? 0,
    txPacketsPerSecond: tx.packetsPerSecond ?? 0,
    rxBitsPerSecond: rx.bitsPerSecond ?? 0,
    txBitsPerSecond: tx.bitsPerSecond ?? 0,
    droppedPerSecond: sum(Object.values(droppedPerSecond)),
  }
}

function workersOf({ workers = [] }: Sample, before: Sample | null): WorkerState[] {
  return workers.map(({ worker, polls, useful }, place) => {
    const old = before?.workers?.[place]
    const since = old === undefined ? 0 : polls - old.polls
    // One that sleeps doesn't poll.
    const usefulShare = old === undefined || since <= 0 ? null : digits((useful - old.useful) / since)
    return { worker, polls, usefulPolls: useful, usefulShare }
  })
}

function appOf({ app }: Sample, interval: Interval | null): AppState | null {
  if (app === undefined) return null
  return { ...app, perSecond: perSecond(interval?.app?.counters ?? {}, interval?.seconds ?? 0) }
}

function latencyOf({ roundTrips }: Sample, before: Sample | null): LatencyState | null {
  if (roundTrips === undefined) return null
  const { figures, sum: sumNanoseconds, histogram } = roundTrips
  const old = before?.roundTrips
  const interval = old === undefined ? null : intervalLatency(histogram, old.histogram)
  // What hasn't come back yet may be under way.
  const total = Object.fromEntries(Object.entries(figures).filter(([name]) => name !== 'lost'))
  return { total, interval, sumNanoseconds, histogram }
}

/** Those that aren't 0. */
function someOf(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0))
}

function perSecond(counts: Readonly<Record<string, number>>, seconds: number): Record<string, number> {
  if (!(seconds > 0)) return {}
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, digits(count / seconds)]))
}
