/** Lines for people, in the ixy family's format, and the summary at the end. */
import type { ChalkInstance } from 'chalk'
import type { IntervalEvent, Latency, VirtualReport } from '../../engine/types.ts'
import { balanceLines, verdictOf } from './loss.ts'
import { type Rate, rateOf } from './rates.ts'
import type { EndReport, Reporter } from './reporter.ts'
import { type DeviceSummary, type Owner, sum } from './tally.ts'

/** The first words of a summary: what this command did with how many packets. */
export type Headline = (report: EndReport) => string

export interface TextOptions {
  /** Nothing but the summary. */
  readonly quiet: boolean
  /** Lines for queues, not only for devices. */
  readonly perQueue?: boolean | undefined
}

export class TextReporter implements Reporter {
  private readonly write: (line: string) => void
  private readonly chalk: ChalkInstance
  private readonly headline: Headline
  private readonly quiet: boolean
  private readonly perQueue: boolean

  constructor(
    write: (line: string) => void,
    chalk: ChalkInstance,
    headline: Headline,
    { quiet, perQueue = true }: TextOptions,
  ) {
    this.write = write
    this.chalk = chalk
    this.headline = headline
    this.quiet = quiet
    this.perQueue = perQueue
  }

  // Which devices were found, and link changes, are logged on stderr: stdout carries data only.
  start(): void {}
  link(): void {}

  interval(event: IntervalEvent, owners: readonly Owner[] = []): void {
    if (this.quiet) return
    const { chalk } = this
    event.devices.forEach((counters, i) => {
      if (counters.queue !== null && !this.perQueue) return
      const queue = counters.queue === null ? '' : ` queue ${counters.queue}`
      const name = chalk.cyan(`[${counters.device}${queue}]`)
      const whose = ownerText(owners[i], chalk)
      this.write(`${name} RX: ${intervalRate(rateOf(counters.rx, event.seconds))}${whose}`)
      this.write(`${name} TX: ${intervalRate(rateOf(counters.tx, event.seconds))}${whose}`)
    })
  }

  end(report: EndReport): void {
    // It failed before it had begun: the error says all there is.
    if (report.elapsed === 0 && report.error !== null) return
    if (!this.quiet) this.write('')
    const devices = report.devices.filter(({ queue }) => queue === null || this.perQueue)
    for (const line of summaryLines({ ...report, devices }, this.headline, this.chalk)) this.write(line)
  }
}

function ownerText(owner: Owner | undefined, chalk: ChalkInstance): string {
  return owner === undefined ? '' : chalk.dim(` (${owner.command}, pid ${owner.pid})`)
}

function intervalRate({ mbit, mpps }: Rate): string {
  return `${mbit.toFixed(2)} Mbit/s ${mpps.toFixed(2)} Mpps`
}

export function summaryLines(report: EndReport, headline: Headline, chalk: ChalkInstance): string[] {
  const lines = [chalk.bold(`${headline(report)} in ${report.elapsed.toFixed(2)} s`) + verdict(report, chalk)]
  lines.push(...balanceLines(report.balance ?? []))
  const table = trafficTable(report.devices, chalk)
  report.devices.forEach((device, i) => {
    const virtual =
      device.queue === null ? report.virtual.find((nic) => nic.index === device.index) : undefined
    lines.push('', ...table[i], `  ${dropLine(device, chalk)}`)
    if (virtual !== undefined) lines.push(...virtualLines(virtual, chalk).map((line) => `  ${line}`))
  })
  if (report.latency) lines.push('', latencyLine(report.latency, chalk))
  return lines
}

function latencyLine(latency: Latency, chalk: ChalkInstance): string {
  const { count, min, p50, p99, p999, p9999, p99999, max } = latency
  const parts = { min, p50, p99, 'p99.9': p999, 'p99.99': p9999, 'p99.999': p99999, max }
  const texts = Object.entries(parts).map(([name, value]) => `${name} ${value.toFixed(1)} µs`)
  return `${chalk.bold('round trip')} of ${counted(count, 'packet')}: ${texts.join(', ')}`
}

/** `: lost 0, duplicated 0, …` */
function verdict(report: EndReport, chalk: ChalkInstance): string {
  if (report.loss === null) return ''
  const { text, good } = verdictOf(report.loss, report.virtual)
  return ': ' + (good ? chalk.green : chalk.red)(text)
}

/** Two lines per device, columns aligned over all devices. */
function trafficTable(devices: readonly DeviceSummary[], chalk: ChalkInstance): [string, string][] {
  const rows = devices.flatMap((device) =>
    (['rx', 'tx'] as const).map((name) => {
      const { packets, bytes, average, peak } = device[name]
      return [
        name.toUpperCase(),
        counted(packets, 'packet').padEnd(`${grouped(packets)} packets`.length),
        `${grouped(bytes)} bytes`,
        packetRate(average.mpps),
        `${average.mbit.toFixed(2)} Mbit/s`,
        `peak ${packetRate(peak.mpps)}`,
        `${peak.mbit.toFixed(2)} Mbit/s`,
      ]
    }),
  )
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const names = devices.map(({ device, queue }) => `[${device}${queue === null ? '' : ` queue ${queue}`}]`)
  const nameWidth = Math.max(0, ...names.map((name) => name.length))
  const text = rows.map((row) => row.map((cell, column) => cell.padStart(widths[column])).join('  '))
  return devices.map(({ owner }, i) => {
    const whose = ownerText(owner, chalk)
    return [
      `${chalk.cyan(names[i].padEnd(nameWidth))} ${text[2 * i]}${whose}`,
      `${' '.repeat(nameWidth)} ${text[2 * i + 1]}${whose}`,
    ]
  })
}

function dropLine(device: DeviceSummary, chalk: ChalkInstance): string {
  const causes = Object.entries(device.dropped).filter(([, packets]) => packets > 0)
  if (causes.length === 0) return 'dropped: 0'
  const total = sum(causes.map(([, packets]) => packets))
  const list = causes.map(([cause, packets]) => `${words(cause)} ${grouped(packets)}`).join(', ')
  return chalk.red(`dropped: ${grouped(total)} (${list})`)
}

function virtualLines(virtual: VirtualReport, chalk: ChalkInstance): string[] {
  const lines = virtual.wires.map(({ wire, counters: { foreign = 0, late = 0, ...others }, notJudged }) => {
    // Worth a word only where there are any.
    const counters = { ...others, ...(foreign > 0 ? { foreign } : {}), ...(late > 0 ? { late } : {}) }
    return `wire ${wire}: ${countersText(counters)}${notJudged === undefined ? '' : ', lost not judged'}`
  })
  if (!virtual.final) lines.unshift('last known:')
  if (virtual.breaches.length === 0) lines.push('breaches of the datasheet: 0')
  for (const { rule, count } of virtual.breaches) {
    lines.push(chalk.red(`breach of the datasheet, ${grouped(count)} ×: ${rule}`))
  }
  return lines
}

function countersText(counters: Readonly<Record<string, number>>): string {
  return Object.entries(counters)
    .map(([name, count]) => `${words(name)} ${grouped(count)}`)
    .join(', ')
}

/** In the unit that leaves something before the decimal point. */
export function packetRate(mpps: number): string {
  if (mpps >= 0.1 || mpps < 5e-9) return `${mpps.toFixed(2)} Mpps`
  return mpps >= 0.0001 ? `${(mpps * 1e3).toFixed(2)} kpps` : `${(mpps * 1e6).toFixed(2)} pps`
}

/** tx_ring_full → tx ring full, inDropped → in dropped */
function words(name: string): string {
  return name.replaceAll('_', ' ').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** 1 packet, 2 packets */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** 1234567 → 1,234,567 */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}
