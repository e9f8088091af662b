/** The summary at the end of a command, for people. */
import type { ChalkInstance } from 'chalk'
import type { VirtualReport } from '../../engine/types.ts'
import { labels, wrap } from './layout.ts'
import { countersText, grouped, counted, words } from '../../wording.ts'
import { balanceLines, verdictOf } from './loss.ts'
import { bitRate, exceedsLink, packetRate } from './rates.ts'
import type { AppReport, EndReport } from './reporter.ts'
import { type DeviceSummary, type DirectionSummary, type Owner } from './tally.ts'
import { sum } from '../../sum.ts'

/** The first words of a summary: what this command did with how many packets. */
export type Headline = (report: EndReport) => string

/** A run that rested for more than this share of its time says for how long packets moved. */
const RESTED = 0.01

/** `linkMbit`: of each device of the report, 0 where it isn't known. */
export function summaryLines(
  report: EndReport,
  headline: Headline,
  chalk: ChalkInstance,
  columns: number,
  linkMbit: readonly number[],
): string[] {
  if (report.app?.alone === true) return appLines(report.app, chalk).flatMap((line) => wrap(line, columns))
  const lines = [chalk.bold(`${headline(report)} in ${time(report)}`) + verdict(report, chalk)]
  const names = labels(report.devices)
  const whole = report.devices.flatMap((device, i) =>
    device.queue === null ? [[device.index, names[i]] as const] : [],
  )
  lines.push(...balanceLines(report.balance ?? [], new Map(whole)))
  const table = trafficTable(report.devices, columns)
  report.devices.forEach((device, i) => {
    const virtual =
      device.queue === null ? report.virtual.find((nic) => nic.index === device.index) : undefined
    const over = [device.rx, device.tx].some(({ peak }) => exceedsLink(peak, linkMbit[i]))
    lines.push('', chalk.cyan(`[${names[i]}]`) + ownerText(device.owner, chalk), ...table[i])
    if (over) lines.push(`  not limited to line rate: a link carries ${linkMbit[i]} Mbit/s`)
    lines.push(`  ${dropLine(device, chalk)}`)
    if (virtual !== undefined) lines.push(...virtualLines(virtual, chalk).map((line) => `  ${line}`))
  })
  if (report.app) lines.push(...appLines(report.app, chalk))
  for (const { name, counters, owner } of report.apps ?? [])
    lines.push('', `${countersLine(name, counters, chalk)}${ownerText(owner, chalk)}`)
  return lines.flatMap((line) => wrap(line, columns))
}

export function ownerText(owner: Owner | undefined, chalk: ChalkInstance): string {
  return owner === undefined ? '' : chalk.dim(` (${owner.command}, pid ${owner.pid})`)
}

/** `10.00 s`, and how much of it averages are over. */
function time({ elapsed, active }: EndReport): string {
  const rested = active > 0 && active < elapsed * (1 - RESTED)
  return `${elapsed.toFixed(2)} s${rested ? `, packets moved for ${span(active)}` : ''}`
}

function span(seconds: number): string {
  if (seconds >= 1) return `${seconds.toFixed(2)} s`
  return seconds >= 1e-3 ? `${(seconds * 1e3).toFixed(2)} ms` : `${(seconds * 1e6).toFixed(2)} µs`
}

/** A paragraph of the app's own, and its counters. */
function appLines({ name, counters, text }: AppReport, chalk: ChalkInstance): string[] {
  const lines = Object.keys(counters).length === 0 ? [] : ['', countersLine(name, counters, chalk)]
  if (text === null) return lines
  return [
    ...lines,
    '',
    `${chalk.bold(text.title)}${text.first}`,
    ...text.lines.map((line) => (line === '' ? '' : `  ${line}`)),
  ]
}

/** `[router] routed 1,234, no route 5` */
export function countersLine(
  name: string,
  counters: Readonly<Record<string, number>>,
  chalk: ChalkInstance,
): string {
  return `${chalk.cyan(`[${name}]`)} ${countersText(counters)}`
}

/** `: lost 0, duplicated 0, …` */
function verdict(report: EndReport, chalk: ChalkInstance): string {
  if (report.loss === null) return ''
  const { text, good } = verdictOf(report.loss, report.virtual)
  return ': ' + (good ? chalk.green : chalk.red)(text)
}

/** Per device two lines for each direction, three where `columns` are few; aligned over all devices. */
function trafficTable(devices: readonly DeviceSummary[], columns: number): string[][] {
  const rows = devices.flatMap(({ rx, tx }) => [cells('RX', rx), cells('TX', tx)])
  const width = (...names: (keyof Cells)[]): number =>
    Math.max(0, ...rows.flatMap((row) => names.map((name) => row[name].length)))
  const widths = { packets: width('packets'), bytes: width('bytes') }
  const rate = { packets: width('pps', 'peakPps'), bits: width('bits', 'peakBits') }
  const counts = 2 + 2 + 2 + widths.packets + 2 + widths.bytes
  const wide = counts + 2 + rate.packets + 2 + rate.bits <= columns
  const texts = rows.map((row) => {
    const left = `  ${row.name}  ${row.packets.padStart(widths.packets)}  ${row.bytes.padStart(widths.bytes)}`
    const average = `${row.pps.padStart(rate.packets)}  ${row.bits.padStart(rate.bits)}`
    const peak = `${row.peakPps.padStart(rate.packets)}  ${row.peakBits.padStart(rate.bits)}`
    return wide
      ? [`${left}  ${average}`, `${'peak'.padStart(counts)}  ${peak}`]
      : [left, `      average  ${average}`, `      peak     ${peak}`]
  })
  return devices.map((_, i) => [...texts[2 * i], ...texts[2 * i + 1]])
}

interface Cells {
  readonly name: string
  readonly packets: string
  readonly bytes: string
  readonly pps: string
  readonly bits: string
  readonly peakPps: string
  readonly peakBits: string
}

function cells(name: string, { packets, bytes, average, peak }: DirectionSummary): Cells {
  return {
    name,
    packets: counted(packets, 'packet').padEnd(`${grouped(packets)} packets`.length),
    bytes: `${grouped(bytes)} bytes`,
    pps: packetRate(average),
    bits: bitRate(average),
    peakPps: packetRate(peak),
    peakBits: bitRate(peak),
  }
}

export function dropLine(device: Pick<DeviceSummary, 'dropped'>, chalk: ChalkInstance): string {
  const causes = Object.entries(device.dropped).filter(([, packets]) => packets > 0)
  if (causes.length === 0) return 'dropped: 0'
  const total = sum(causes.map(([, packets]) => packets))
  const list = causes.map(([cause, packets]) => `${words(cause)} ${grouped(packets)}`).join(', ')
  const text = `dropped: ${grouped(total)} (${list})`
  // What a filter has kept back was to be so.
  return causes.every(([cause]) => cause === 'filtered_out') ? text : chalk.red(text)
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
