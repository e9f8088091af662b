/** Turns totals and intervals into what a summary shows: averages over the run, peaks over its intervals. */
import type { DeviceCounters, IntervalEvent, VirtualReport } from '../../engine/types.ts'
import type { WireReport } from '../../vnic/wires/wire.ts'
import { type Rate, NO_RATE, higher, rateOf } from './rates.ts'

/** Which process a device of `stats` belongs to. */
export interface Owner {
  readonly pid: number
  readonly command: string
}

export interface DirectionSummary {
  readonly packets: number
  readonly bytes: number
  readonly average: Rate
  readonly peak: Rate
}

export interface DeviceSummary {
  readonly index: number
  readonly device: string
  readonly queue: number | null
  readonly rx: DirectionSummary
  readonly tx: DirectionSummary
  readonly dropped: Readonly<Record<string, number>>
  /** Only in `stats`, which shows devices of several processes. */
  readonly owner?: Owner
}

interface Peaks {
  rx: Rate
  tx: Rate
}

export class Tally {
  private readonly peaks = new Map<string, Peaks>()

  add(event: IntervalEvent): void {
    for (const counters of event.devices) {
      const key = keyOf(counters)
      const before = this.peaks.get(key) ?? { rx: NO_RATE, tx: NO_RATE }
      this.peaks.set(key, {
        rx: higher(before.rx, rateOf(counters.rx, event.seconds)),
        tx: higher(before.tx, rateOf(counters.tx, event.seconds)),
      })
    }
  }

  /** `totals` since the start, `elapsed` seconds ago. No peak is below the average: a run seldom ends with an interval. */
  summarize(totals: readonly DeviceCounters[], elapsed: number): DeviceSummary[] {
    return totals.map((counters) => {
      const peaks = this.peaks.get(keyOf(counters))
      const direction = (name: 'rx' | 'tx'): DirectionSummary => {
        const average = rateOf(counters[name], elapsed)
        return { ...counters[name], average, peak: higher(average, peaks?.[name] ?? NO_RATE) }
      }
      return {
        index: counters.index,
        device: counters.device,
        queue: counters.queue,
        rx: direction('rx'),
        tx: direction('tx'),
        dropped: counters.dropped,
      }
    })
  }
}

export interface Loss {
  readonly lost: number
  readonly of: number
}

/**
 * Packets lost, out of how many.
 *
 * Where virtual wires have checked sequence numbers, they have seen the loss from end to end. Elsewhere every packet
 * that came in or was generated has either been sent or been dropped for a cause that has a name.
 */
export function lossOf(
  devices: readonly DeviceCounters[],
  virtual: readonly VirtualReport[],
  endToEnd: boolean,
): Loss {
  const checked = checkedWires(virtual, endToEnd).filter(
    (report) => report.counters['lost'] !== undefined && report.counters['sent'] !== undefined,
  )
  if (checked.length > 0) {
    return {
      lost: sum(checked.map((report) => report.counters['lost'])),
      of: sum(checked.map((report) => report.counters['sent'])),
    }
  }
  const whole = devices.filter((counters) => counters.queue === null)
  const dropped = sum(whole.flatMap((counters) => Object.values(counters.dropped)))
  return { lost: dropped, of: dropped + sum(whole.map((counters) => counters.tx.packets)) }
}

/** The counters of all wires of the same name added up, only those that a sequence check gives; null without one. */
export function sequenceCheck(
  virtual: readonly VirtualReport[],
  endToEnd: boolean,
): Record<string, number> | null {
  const reports = checkedWires(virtual, endToEnd)
  const checks: Record<string, number> = {}
  for (const name of ['lost', 'duplicated', 'reordered', 'corrupted']) {
    const values = reports.map((report) => report.counters[name]).filter((value) => value !== undefined)
    if (values.length === 0) return null
    checks[name] = sum(values)
  }
  return checks
}

/**
 * Wires whose frames have come out where they could be checked. `endToEnd`: they should have come out at one of these
 * wires (forward). Elsewhere a generator whose frames nobody brings back has lost nothing.
 */
function checkedWires(virtual: readonly VirtualReport[], endToEnd: boolean): WireReport[] {
  const wires = virtual.flatMap((nic) => nic.wires)
  return endToEnd || wires.some(({ counters }) => (counters['received'] ?? 0) > 0) ? wires : []
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function keyOf(counters: DeviceCounters): string {
  return `${counters.index} ${counters.queue ?? ''}`
}
