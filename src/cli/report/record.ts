/** Makes of the objects of a run, as `--json` writes them, what a report tells of it. */
import { labels } from '../output/layout.ts'
import { wireBits } from '../../packet/rate.ts'
import { grouped } from '../../wording.ts'
import type { RunData, Total } from './model.ts'
import {
  APP,
  END,
  type End,
  INTERVAL,
  type Interval,
  LINK,
  type Link,
  START,
  type Start,
  parsed,
} from './schema.ts'
import { type Counted, Series, minus, plus } from './series.ts'
import { sum } from '../../sum.ts'

/** Stretches that are kept of a device, and of a queue: more than a chart has pixels for. */
const STRETCHES = 1000
const STRETCHES_OF_QUEUE = 250
/** Devices and queues whose intervals are kept; changes of links. */
const MOST_SERIES = 256
const MOST_LINKS = 1000
/** Seconds by which `elapsed`, which has milliseconds, and the intervals may differ. */
const ROUNDING = 0.002

interface Key {
  readonly device: string
  readonly index: number
  readonly queue: number | null
  readonly pid?: number | undefined
  readonly command?: string | undefined
}

/** What is known of a device or a queue. */
interface Track extends Key {
  readonly series: Series | null
  /** Counted since the first interval. */
  counted: Counted
  /** The process's own total. */
  total: Counted
  elapsed: number
}

const NOTHING: Counted = { rx: { packets: 0, bytes: 0 }, tx: { packets: 0, bytes: 0 }, dropped: {} }

export class RunRecord {
  private start: Start | null = null
  private end: End | null = null
  private readonly tracks = new Map<string, Track>()
  private readonly apps = new Map<string, End['apps'][number]>()
  private readonly links: Link[] = []
  private gaps = 0
  private unseen = 0

  /** Whether an `end` has come: what follows is another run. */
  get ended(): boolean {
    return this.end !== null
  }

  get empty(): boolean {
    return this.start === null && this.end === null && this.tracks.size === 0
  }

  /** The event is one of a run; false for others (`device`, `register`). Throws a SyntaxError for what is damaged. */
  add(event: unknown, object: unknown): boolean {
    switch (event) {
      case 'start':
        this.start = parsed(START, object)
        return true
      case 'interval':
        this.interval(parsed(INTERVAL, object))
        return true
      case 'app': {
        const { app, total, pid, command } = parsed(APP, object)
        if (this.apps.size < MOST_SERIES || this.apps.has(`${pid} ${app}`))
          this.apps.set(`${pid} ${app}`, { name: app, counters: total, pid, command })
        return true
      }
      case 'link':
        if (this.links.length < MOST_LINKS) this.links.push(parsed(LINK, object))
        else this.unseen++
        return true
      // What `end` tells again, or nobody draws.
      case 'packet':
      case 'trial':
      case 'result':
        return true
      case 'end':
        this.end = parsed(END, object)
        return true
      default:
        return false
    }
  }

  private interval(interval: Interval): void {
    const { device, index, queue, pid, command, elapsed, seconds } = interval
    const key = keyOf(interval)
    const total: Counted = interval.total ?? plusCounted(this.tracks.get(key)?.total ?? NOTHING, interval)
    let track = this.tracks.get(key)
    if (track === undefined) {
      const most = queue === null ? STRETCHES : STRETCHES_OF_QUEUE
      // `stats` looks at processes that have counted before.
      const before = this.start?.command === 'stats' ? minusCounted(total, interval) : NOTHING
      const series = this.tracks.size < MOST_SERIES ? new Series(most) : null
      track = { device, index, queue, pid, command, series, counted: NOTHING, total: before, elapsed: 0 }
      if (before !== NOTHING) track.elapsed = elapsed - seconds
      this.tracks.set(key, track)
    }
    const missing = minusCounted(minusCounted(total, track.total), interval)
    const since = elapsed - track.elapsed
    if (since > seconds * 1.5 + ROUNDING && packetsOf(missing) !== 0) {
      this.gaps++
      track.series?.add(elapsed - seconds, since - seconds, missing)
      track.series?.add(elapsed, seconds, interval)
    } else track.series?.add(elapsed, seconds, plusCounted(interval, missing))
    track.counted = plusCounted(track.counted, plusCounted(interval, missing))
    track.total = total
    track.elapsed = elapsed
  }

  data(name: string, cutOff = false): RunData {
    const { start, end } = this
    const tracks = [...this.tracks.values()]
    const notes = this.notes(cutOff)
    const totals: Total[] = withLabels(end?.devices ?? tracks.map(totalSoFar))
    if (end !== null) this.addRests(end)
    const labelOf = new Map(totals.map((total) => [keyOf(total), total.label]))
    const elapsed = end?.elapsed ?? Math.max(0, ...tracks.map((track) => track.elapsed))
    return {
      name,
      command: start?.command ?? 'a run',
      version: start?.version ?? '',
      time: start?.time ?? '',
      arguments: start?.arguments ?? null,
      system: start?.system ?? null,
      devices: withLabels(start?.devices ?? []),
      lineRateLimited: end?.lineRateLimited ?? start?.lineRateLimited ?? null,
      elapsed,
      activeSeconds: end?.activeSeconds ?? elapsed,
      reason: end?.reason ?? null,
      error: end?.error ?? null,
      notes,
      totals,
      series: tracks.flatMap(({ series, ...track }) =>
        series === null
          ? []
          : [
              {
                label: labelOf.get(keyOf(track)) ?? track.device,
                index: track.index,
                queue: track.queue,
                stretches: series.stretches,
              },
            ],
      ),
      links: this.links.map(({ device, index, time, up }) => ({
        elapsed: (Date.parse(time) - Date.parse(start?.time ?? time)) / 1000,
        label: labelOf.get(keyOf({ device, index, queue: null })) ?? device,
        up,
      })),
      apps: end?.app === undefined ? (end?.apps ?? [...this.apps.values()]) : [end.app],
      virtual: (end?.virtual ?? []).map((nic) => ({
        ...nic,
        label: labelOf.get(keyOf({ ...nic, queue: null })) ?? nic.device,
      })),
      balance: end?.balance ?? [],
      loss: end?.loss ?? null,
      latency: end?.latencyMicroseconds ?? null,
      wire: end?.wireLatency ?? null,
      jitter: end?.jitterMicroseconds ?? null,
      reordering: end?.reordering ?? null,
      streams: end?.streams ?? null,
      answered: end?.answered ?? null,
      rfc2544: end?.rfc2544 ?? null,
    }
  }

  /** What came after the last interval belongs to the series as well. */
  private addRests({ devices, elapsed }: End): void {
    for (const total of devices) {
      const track = this.tracks.get(keyOf(total))
      if (track === undefined) continue
      const rest = minusCounted(total, track.counted)
      const seconds = Math.max(0, elapsed - track.elapsed)
      if (packetsOf(rest) === 0) continue
      track.series?.add(Math.max(elapsed, track.elapsed), seconds, rest)
      track.counted = plusCounted(track.counted, rest)
    }
  }

  private notes(cutOff: boolean): string[] {
    const { start, end, tracks } = this
    const notes: string[] = []
    if (cutOff) notes.push('The file ends in the middle of a line.')
    if (end === null)
      notes.push(
        'The end of the run is missing: the totals are those of the last interval, averages are over the whole time until then.',
      )
    if (start === null && end?.elapsed !== 0)
      notes.push(
        'The beginning of the run is missing (--quiet leaves it out): which devices these were is not known.',
      )
    if (tracks.size === 0 && (end?.elapsed ?? 0) > 0)
      notes.push('There are no intervals: nothing is known of how the rates went.')
    const left = end?.intervalsDropped ?? 0
    if (left > 0)
      notes.push(
        `${grouped(left)} lines of intervals were left out when the run was written; their counts are in those that follow.`,
      )
    else if (this.gaps > 0)
      notes.push('Lines of intervals are missing; their counts are in those that follow.')
    const merged = Math.max(1, ...[...tracks.values()].map(({ series }) => series?.merged ?? 1))
    if (merged > 1)
      notes.push(`${merged} intervals are drawn as one; bands show the lowest and highest of them.`)
    if ([...tracks.values()].some(({ series }) => series === null))
      notes.push(`Only the first ${MOST_SERIES} devices and queues are drawn.`)
    if (this.unseen > 0) notes.push(`${grouped(this.unseen)} further changes of links are left out.`)
    return notes
  }
}

function keyOf({ device, index, queue, pid }: Key): string {
  return JSON.stringify([pid, index, queue, device])
}

function withLabels<T extends Omit<Key, 'queue'> & { readonly queue?: number | null }>(
  all: readonly T[],
): (T & { label: string })[] {
  const owned = all.map((one) => ({ ...one, owner: one.pid === undefined ? undefined : { pid: one.pid } }))
  const names = labels(owned)
  return all.map((one, i) => {
    const whose = one.pid === undefined ? '' : ` (${one.command ?? 'ixy-ts'}, pid ${one.pid})`
    return { ...one, label: `${names[i]}${whose}` }
  })
}

function totalSoFar({ device, index, queue, pid, command, counted, elapsed }: Track): End['devices'][number] {
  const direction = (name: 'rx' | 'tx'): End['devices'][number]['rx'] => {
    const { packets, bytes } = counted[name]
    return {
      packets,
      bytes,
      packetsPerSecond: elapsed > 0 ? packets / elapsed : 0,
      bitsPerSecond: elapsed > 0 ? wireBits(packets, bytes) / elapsed : 0,
    }
  }
  return {
    device,
    index,
    queue,
    pid,
    command,
    rx: direction('rx'),
    tx: direction('tx'),
    dropped: counted.dropped,
  }
}

function plusCounted(a: Counted, b: Counted): Counted {
  return combined(a, b, 1, plus(a.dropped, b.dropped))
}

function minusCounted(a: Counted, b: Counted): Counted {
  return combined(a, b, -1, minus(a.dropped, b.dropped))
}

function combined(a: Counted, b: Counted, sign: 1 | -1, dropped: Counted['dropped']): Counted {
  return {
    rx: { packets: a.rx.packets + sign * b.rx.packets, bytes: a.rx.bytes + sign * b.rx.bytes },
    tx: { packets: a.tx.packets + sign * b.tx.packets, bytes: a.tx.bytes + sign * b.tx.bytes },
    dropped,
  }
}

/** All there is, without sign. */
function packetsOf({ rx, tx, dropped }: Counted): number {
  return sum([rx.packets, tx.packets, ...Object.values(dropped)].map(Math.abs))
}
