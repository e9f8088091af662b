/** What a command tells stdout about, whatever its form. */
import type { Balance } from '../../engine/balance.ts'
import type { LossVerdict } from '../../engine/loss.ts'
import type { Findings } from '../../apps/command.ts'
import type { IxyError } from '../../errors.ts'
import type { DeviceInfo, EndReason, IntervalEvent, LinkEvent, VirtualReport } from '../../engine/types.ts'
import type { AppSummary, DeviceSummary, Owner } from './tally.ts'

/** Where lines go. */
export interface Lines {
  line(text: string): void
  /** A line of an interval: left out, and counted, while too much waits for whoever reads. */
  intervalLine(text: string): void
  /** How many lines of intervals were left out. */
  readonly dropped: number
}

/** What the app itself has to tell. */
export interface AppReport {
  readonly name: string
  /** Totals of its counters; {} if it has none. */
  readonly counters: Readonly<Record<string, number>>
  /** What goes into the `end` object besides. */
  readonly json: Findings['json']
  readonly text: Findings['text']
  /** That is all of the summary. */
  readonly alone?: boolean
}

export interface EndReport {
  readonly elapsed: number
  /** Seconds in which packets moved: averages are over these. */
  readonly active: number
  /** Every source keeps to line rate; undefined where nobody can tell (`stats`). */
  readonly lineRateLimited?: boolean
  readonly reason: EndReason
  readonly devices: readonly DeviceSummary[]
  readonly virtual: readonly VirtualReport[]
  /** Only of a run of its own. */
  readonly balance?: readonly Balance[]
  /** null where nobody asks (`stats`). */
  readonly loss: LossVerdict | null
  /** Only of a run of its own. */
  readonly app?: AppReport
  /** Only of `stats`: what the apps that it has watched have counted meanwhile. */
  readonly apps?: readonly AppSummary[]
  readonly error: IxyError | null
}

export interface Reporter {
  /** `owners[i]` is whom `devices[i]` belongs to. `lineRateLimited` as in EndReport. */
  start(devices: readonly DeviceInfo[], owners?: readonly Owner[], lineRateLimited?: boolean): void
  /** `owners[i]` is whom `event.devices[i]` belongs to. */
  interval(event: IntervalEvent, owners?: readonly Owner[]): void
  link(event: LinkEvent): void
  end(report: EndReport): void
}
