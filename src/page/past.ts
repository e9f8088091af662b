/** What a run has done lately, as lines of a chart; bounded, however long the page is open. */
import type { HistoryEntry, RunState } from '../cli/monitor/state.ts'
import type { Drawing, Line } from './drawing.ts'

/** Intervals that are kept; half an hour of seconds. */
const KEPT = 1800

export type Kind = 'packets' | 'bits' | 'queues' | 'drops' | 'latency'

/** Values by the name of their line. */
type Sample = Readonly<Record<Kind, Readonly<Record<string, number>>>>

const PERCENTILES = ['p50', 'p90', 'p99', 'p999', 'max'] as const
const DIRECTIONS = ['rx', 'tx'] as const

export class Past {
  private readonly samples: { readonly at: number; readonly sample: Sample }[] = []

  /** Of a run that tells its history: what came before the page was open, or while it was cut off. */
  addHistory({ devices, history = [] }: RunState): void {
    const newest = this.samples.at(-1)?.at ?? 0
    const known = history.filter(({ time }) => Date.parse(time) / 1000 > newest)
    for (const entry of known) this.push(Date.parse(entry.time) / 1000, sampleOfHistory(devices, entry))
  }

  /** `time`: RFC 3339. */
  add(time: string, run: RunState): void {
    const at = Date.parse(time) / 1000
    if (at > (this.samples.at(-1)?.at ?? 0)) this.push(at, sampleOf(run))
  }

  private push(at: number, sample: Sample): void {
    this.samples.push({ at, sample })
    if (this.samples.length > KEPT) this.samples.shift()
  }

  /** The last `seconds`. */
  drawing(kind: Kind, seconds: number): Drawing {
    const since = (this.samples.at(-1)?.at ?? 0) - seconds
    const shown = this.samples.filter(({ at }) => at >= since)
    const names = [...new Set(shown.flatMap(({ sample }) => Object.keys(sample[kind])))]
    return {
      x: shown.map(({ at }) => at),
      lines: names.map((label, place): Line => {
        const paired = kind === 'packets' || kind === 'bits' || kind === 'queues'
        return {
          label,
          colour: paired ? Math.floor(place / 2) : place,
          dashed: paired && place % 2 === 1,
          values: shown.map(({ sample }) => sample[kind][label] ?? null),
        }
      }),
    }
  }
}

interface Rates {
  readonly label: string
  readonly rx: { readonly packets: number | null; readonly bits: number | null }
  readonly tx: { readonly packets: number | null; readonly bits: number | null }
}

function ratesOf(all: readonly Rates[], of: 'packets' | 'bits'): Record<string, number> {
  return Object.fromEntries(
    all.flatMap((rates) =>
      DIRECTIONS.flatMap((direction) => {
        const rate = rates[direction][of]
        return rate === null ? [] : [[`${rates.label} ${direction.toUpperCase()}`, rate] as const]
      }),
    ),
  )
}

function sampleOf({ devices, latency, seconds }: RunState): Sample {
  const rates = (label: string, { rx, tx }: Pick<RunState['devices'][number], 'rx' | 'tx'>): Rates => ({
    label,
    rx: { packets: rx.packetsPerSecond, bits: rx.bitsPerSecond },
    tx: { packets: tx.packetsPerSecond, bits: tx.bitsPerSecond },
  })
  const whole = devices.map((device) => rates(device.label, device))
  const queues = devices.flatMap(({ label, queues }) =>
    queues.map((queue) => rates(`${label} queue ${queue.queue}`, queue)),
  )
  const drops = devices.map(({ label, droppedPerSecond }) => [label, sum(droppedPerSecond)] as const)
  return {
    packets: ratesOf(whole, 'packets'),
    bits: ratesOf(whole, 'bits'),
    queues: ratesOf(queues, 'packets'),
    drops: seconds === null ? {} : Object.fromEntries(drops),
    latency: percentiles(latency?.interval ?? null),
  }
}

function sampleOfHistory(devices: RunState['devices'], entry: HistoryEntry): Sample {
  const rates = (label: string, one: Omit<HistoryEntry['devices'][number], 'queues'>): Rates => ({
    label,
    rx: { packets: one.rxPacketsPerSecond, bits: one.rxBitsPerSecond },
    tx: { packets: one.txPacketsPerSecond, bits: one.txBitsPerSecond },
  })
  const labelled = entry.devices.map((one, i) => ({ one, label: devices[i]?.label ?? `#${i}` }))
  const whole = labelled.map(({ one, label }) => rates(label, one))
  const queues = labelled.flatMap(({ one, label }) =>
    one.queues.map((queue, i) => rates(`${label} queue ${i}`, queue)),
  )
  return {
    packets: ratesOf(whole, 'packets'),
    bits: ratesOf(whole, 'bits'),
    queues: ratesOf(queues, 'packets'),
    drops: Object.fromEntries(labelled.map(({ one, label }) => [label, one.droppedPerSecond])),
    latency: percentiles(entry.latency),
  }
}

function percentiles(interval: HistoryEntry['latency']): Record<string, number> {
  if (interval === null) return {}
  return Object.fromEntries(PERCENTILES.map((name) => [name === 'p999' ? 'p99.9' : name, interval[name]]))
}

export function sum(counters: Readonly<Record<string, number>>): number {
  return Object.values(counters).reduce((all, one) => all + one, 0)
}
