/** Lines for people, in the ixy family's format, and the summary at the end. */
import type { ChalkInstance } from 'chalk'
import type { DeviceInfo, IntervalEvent } from '../../engine/types.ts'
import { counted, countersText } from '../../wording.ts'
import { COLUMNS, labels, shorten } from './layout.ts'
import { exceedsLink, intervalRate, rateOf } from './rates.ts'
import type { EndReport, Lines, Reporter } from './reporter.ts'
import { type Headline, ownerText, summaryLines } from './summary.ts'
import type { Owner } from './tally.ts'

export interface TextOptions {
  /** Nothing but the summary. */
  readonly quiet: boolean
  /** Lines for queues, not only for devices. */
  readonly perQueue?: boolean | undefined
}

/** An app with more of them would fill the screen with zeros. */
const MANY_COUNTERS = 12

export class TextReporter implements Reporter {
  private readonly output: Lines
  private readonly chalk: ChalkInstance
  private readonly headline: Headline
  private readonly quiet: boolean
  private readonly perQueue: boolean
  private readonly columns: () => number | null
  /** Mbit/s, of devices whose rates may exceed it, by linkKey(). */
  private readonly links = new Map<string, number>()

  /** `columns`: of the terminal, null where stdout is none. */
  constructor(
    output: Lines,
    chalk: ChalkInstance,
    headline: Headline,
    { quiet, perQueue = true }: TextOptions,
    columns: () => number | null = () => null,
  ) {
    this.output = output
    this.chalk = chalk
    this.headline = headline
    this.quiet = quiet
    this.perQueue = perQueue
    this.columns = columns
  }

  // Which devices were found, and link changes, are logged on stderr: stdout carries data only.
  start(devices: readonly DeviceInfo[], owners: readonly Owner[] = [], lineRateLimited = false): void {
    if (lineRateLimited) return
    devices.forEach(({ index, linkMbit }, i) => this.links.set(linkKey(index, owners[i]), linkMbit))
  }

  link(): void {}

  interval(event: IntervalEvent, owners: readonly Owner[] = []): void {
    if (this.quiet) return
    const names = labels(event.devices.map((counters, i) => ({ ...counters, owner: owners[i] })))
    event.devices.forEach((counters, i) => {
      if (counters.queue !== null && !this.perQueue) return
      const linkMbit = this.links.get(linkKey(counters.index, owners[i])) ?? 0
      for (const direction of ['rx', 'tx'] as const) {
        const rate = rateOf(counters[direction], event.seconds)
        const over = exceedsLink(rate, linkMbit) ? ' (not limited to line rate)' : ''
        // Those who come later see what has been.
        const total =
          owners[i] === undefined ? '' : `, ${counted(event.totals[i][direction].packets, 'packet')} in all`
        const rest = ` ${direction.toUpperCase()}: ${intervalRate(rate)}${over}${total}${ownerText(owners[i], this.chalk)}`
        this.output.intervalLine(this.chalk.cyan(this.fitting(`[${names[i]}]`, rest)) + rest)
      }
    })
    if (event.app === undefined) return
    const { name, counters } = event.app
    const rest = ` ${countersText(worthALine(counters))}${ownerText(owners[0], this.chalk)}`
    this.output.intervalLine(this.chalk.cyan(`[${name}]`) + rest)
  }

  end(report: EndReport): void {
    // It failed before it had begun: the error says all there is.
    if (report.elapsed === 0 && report.error !== null) return
    if (!this.quiet) this.output.line('')
    const devices = report.devices.filter(({ queue }) => queue === null || this.perQueue)
    const links = devices.map(({ index, owner }) => this.links.get(linkKey(index, owner)) ?? 0)
    const columns = this.columns() ?? COLUMNS
    for (const line of summaryLines({ ...report, devices }, this.headline, this.chalk, columns, links))
      this.output.line(line)
  }

  /** Only a terminal that would break the line has a name shortened: what reads a pipe gets all of it. */
  private fitting(name: string, rest: string): string {
    const columns = this.columns()
    return columns === null ? name : shorten(name, name + rest, columns)
  }
}

/** Of many counters, those that have counted something. The summary has all. */
function worthALine(counters: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const all = Object.entries(counters)
  const counted = all.filter(([, count]) => count > 0)
  return all.length <= MANY_COUNTERS || counted.length === 0 ? counters : Object.fromEntries(counted)
}

function linkKey(index: number, owner: Owner | undefined): string {
  return `${owner?.pid ?? ''} ${index}`
}
