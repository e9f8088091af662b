/** Turns totals and intervals into what a summary shows: averages over the run, peaks over its intervals. */
import type { DeviceCounters, IntervalEvent } from '../../engine/types.ts'
import { type Rate, NO_RATE, higher, rateOf } from './rates.ts'

/** Which process a device of `stats` belongs to. */
export interface Owner {
  readonly pid: number
  readonly command: string
}

/** What has been counted of one device, or of one of its queues, since its process has started. */
export interface Total extends DeviceCounters {
  readonly owner: Owner
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

/** An app's own counters. */
export interface AppSummary {
  readonly name: string
  readonly counters: Readonly<Record<string, number>>
  readonly owner: Owner
}

interface Peaks {
  rx: Rate
  tx: Rate
}

export class Tally {
  /** By the place of the entry, which is the same in every interval and in the totals. */
  private readonly peaks: Peaks[] = []

  add(event: IntervalEvent): void {
    event.devices.forEach(({ rx, tx }, place) => {
      const before = this.peaks[place] ?? { rx: NO_RATE, tx: NO_RATE }
      this.peaks[place] = {
        rx: higher(before.rx, rateOf(rx, event.seconds)),
        tx: higher(before.tx, rateOf(tx, event.seconds)),
      }
    })
  }

  /**
   * `totals` since the start, in `seconds` in which packets moved. No peak is below the average: a run seldom ends with an
   * interval.
   */
  summarize(totals: readonly DeviceCounters[], seconds: number): DeviceSummary[] {
    return totals.map((counters, place) => {
      const peaks = this.peaks[place]
      const direction = (name: 'rx' | 'tx'): DirectionSummary => {
        const average = rateOf(counters[name], seconds)
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
