/** What `stats --live` draws: lines for a terminal of any size, made of the state of the runs. */
import { counted, grouped, words } from '../../wording.ts'
import { wrap } from '../output/layout.ts'
import { HISTORY } from './run-record.ts'
import { ScreenLine, type Style } from './screen-line.ts'
import type {
  DeviceState,
  HistoryEntry,
  MonitorState,
  QueueState,
  RateEntry,
  RunState,
  TrafficState,
} from './state.ts'
import { sum } from '../../sum.ts'

export interface View {
  readonly unit: 'packets' | 'bits'
  /** A row for each queue as well. */
  readonly queues: boolean
  /** Rows that are scrolled away at the top. */
  readonly scroll: number
  /** Where the same is served, '' if it isn't. */
  readonly served: string
  /** Instead of rows, when nothing runs. */
  readonly nothing: string
  /** Processes that have never answered. */
  readonly silent: readonly string[]
  /** The terminal shows blocks and Greek letters. */
  readonly unicode: boolean
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

const NUMBER = 6
const LINK = 4
const LONGEST_SPARK = HISTORY
const SHORTEST_SPARK = 6
/** Of a row beside name and sparkline: RX, TX, peak, link, and the gaps between them all. */
const FIXED = 3 * NUMBER + LINK + 5

/** At most `size.rows` lines of at most `size.columns`; and how far one can scroll. */
export function liveScreen(
  state: MonitorState,
  view: View,
  size: Size,
  paint: (text: string, style: Style) => string,
): { readonly lines: readonly string[]; readonly mostScroll: number } {
  const { runs } = state
  const layout = layoutFor(runs, view, size.columns)
  const body = runs.length === 0 ? nothing(view, size) : runs.flatMap((run) => runLines(run, view, layout))
  const head = [title(state, view), header(state, view, layout)]
  const room = Math.max(0, size.rows - head.length - 1)
  const mostScroll = Math.max(0, body.length - room)
  const from = Math.min(view.scroll, mostScroll)
  const shown = body.slice(from, from + room)
  const below = body.length - from - shown.length
  const lines = [...head, ...shown, footer(view, from, below)].slice(0, size.rows)
  return { lines: lines.map((line) => line.render(size.columns, paint)), mostScroll }
}

interface Layout {
  readonly name: number
  readonly spark: number
}

function layoutFor(runs: readonly RunState[], view: View, columns: number): Layout {
  const names = runs.flatMap(({ devices }) => devices.map(({ label }) => [...label].length + 1))
  const longest = Math.max('DEVICE'.length, view.queues ? '  queue 00'.length : 0, ...names)
  const free = Math.max(0, columns - FIXED)
  // A name that is cut can still be guessed.
  const spark = Math.min(LONGEST_SPARK, Math.max(SHORTEST_SPARK, free - longest, Math.floor(free / 3)))
  return { name: Math.max(6, Math.min(longest, free - spark)), spark }
}

function title({ time, host, runs }: MonitorState, { served }: View): ScreenLine {
  const clock = new Date(time).toTimeString().slice(0, 8)
  return new ScreenLine()
    .add('ixy-ts', 'bold')
    .add(` on ${host}: ${counted(runs.length, 'run')}, ${clock}${served === '' ? '' : `, ${served}`}`)
}

function header({ interval }: MonitorState, { unit }: View, { name, spark }: Layout): ScreenLine {
  const per = unit === 'packets' ? 'pps' : 'b/s'
  return new ScreenLine()
    .left('DEVICE', name, 'dim')
    .right(`RX ${per}`, NUMBER, 'dim')
    .right(`TX ${per}`, NUMBER, 'dim')
    .left(`LAST ${timeText(HISTORY * interval)}`, spark, 'dim')
    .right('PEAK', NUMBER, 'dim')
    .add('LINK', 'dim')
}

function footer({ unit, queues, silent }: View, above: number, below: number): ScreenLine {
  const line = new ScreenLine()
  if (silent.length > 0) line.add(`${silent.join(', ')}  `, 'red')
  if (above + below > 0) line.add(`${above} lines above, ${below} below: j k  `)
  return line.add(
    `q ends, b ${unit === 'packets' ? 'bits' : 'packets'}, u ${queues ? 'without' : 'with'} queues`,
    'dim',
  )
}

function nothing({ nothing }: View, { columns }: Size): ScreenLine[] {
  return wrap(nothing, columns).map((text) => new ScreenLine().add(text))
}

function runLines(run: RunState, view: View, layout: Layout): ScreenLine[] {
  return [
    runLine(run),
    ...run.devices.flatMap((device, place) => deviceLines(device, run.history ?? [], place, view, layout)),
    ...appLines(run),
    ...latencyLines(run, view),
  ]
}

function runLine({ command, pid, startedAt, state, workers }: RunState): ScreenLine {
  const line = new ScreenLine().add(command, 'bold').add(` pid ${pid}`)
  if (startedAt !== null) line.add(`, ${timeText((Date.now() - Date.parse(startedAt)) / 1000).toLowerCase()}`)
  if (state !== 'running')
    return line.add(`: ${state === 'stopped' ? 'is stopped' : "doesn't answer"}`, 'red')
  const shares = workers.flatMap(({ usefulShare }) => (usefulShare === null ? [] : [usefulShare]))
  if (shares.length > 0) line.add(`, useful polls ${sharesText(shares)}`)
  return line
}

/** Of each worker; of many, the least and the most. */
function sharesText(shares: readonly number[]): string {
  const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
  if (shares.length <= 4) return shares.map(percent).join(', ')
  return `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`
}

function deviceLines(
  device: DeviceState,
  history: readonly HistoryEntry[],
  place: number,
  view: View,
  layout: Layout,
): ScreenLine[] {
  const past = history.map(({ devices }) => devices[place])
  const line = row(` ${device.label}`, device, past, view, layout)
  if (device.linkUp) line.add(linkText(device.linkMbit), 'green')
  else line.add('down', 'red')
  const queues = view.queues
    ? device.queues.map((queue, at) =>
        row(
          `  queue ${queue.queue}`,
          queue,
          past.map((entry) => entry.queues[at]),
          view,
          layout,
        ),
      )
    : []
  return [line, ...dropLines(device), ...queues]
}

function row(
  name: string,
  { rx, tx }: Pick<QueueState, 'rx' | 'tx'>,
  past: readonly Omit<RateEntry, 'queues'>[],
  { unit, unicode }: View,
  layout: Layout,
): ScreenLine {
  const now = ({ packetsPerSecond, bitsPerSecond }: TrafficState): number | null =>
    unit === 'packets' ? packetsPerSecond : bitsPerSecond
  const peak = ({ peakPacketsPerSecond, peakBitsPerSecond }: TrafficState): number | null =>
    unit === 'packets' ? peakPacketsPerSecond : peakBitsPerSecond
  const busier = past.map((entry) =>
    unit === 'packets'
      ? Math.max(entry.rxPacketsPerSecond, entry.txPacketsPerSecond)
      : Math.max(entry.rxBitsPerSecond, entry.txBitsPerSecond),
  )
  const most = [peak(rx), peak(tx)].filter((value) => value !== null)
  return new ScreenLine()
    .left(name, layout.name, 'cyan')
    .right(short(now(rx)), NUMBER)
    .right(short(now(tx)), NUMBER)
    .left(sparkline(busier, layout.spark, unicode), layout.spark, 'dim')
    .right(short(most.length === 0 ? null : Math.max(...most)), NUMBER)
}

/** In red, unless a filter has kept them back as it was told. */
function dropLines({ dropped, droppedPerSecond, breaches }: DeviceState): ScreenLine[] {
  const causes = Object.entries(dropped).filter(([, packets]) => packets > 0)
  const lines: ScreenLine[] = []
  if (causes.length > 0) {
    const texts = causes.map(([cause, packets]) => {
      const rate = droppedPerSecond[cause] ?? 0
      return `${words(cause)} ${grouped(packets)}${rate > 0 ? ` (+${short(rate)}/s)` : ''}`
    })
    const style = causes.every(([cause]) => cause === 'filtered_out') ? 'plain' : 'red'
    lines.push(new ScreenLine().add(`  dropped ${texts.join(', ')}`, style))
  }
  const broken = sum(breaches.map(({ count }) => count))
  if (broken > 0) lines.push(new ScreenLine().add(`  breaches of the datasheet ${grouped(broken)}`, 'red'))
  return lines
}

function appLines({ app }: RunState): ScreenLine[] {
  if (app === null) return []
  const texts = Object.entries(app.counters).map(([name, count]) => {
    const rate = app.perSecond[name] ?? 0
    return `${words(name)} ${grouped(count)}${rate > 0 ? ` (+${short(rate)}/s)` : ''}`
  })
  return texts.length === 0 ? [] : [new ScreenLine().add(`  ${texts.join(', ')}`)]
}

function latencyLines({ latency }: RunState, { unicode }: View): ScreenLine[] {
  if (latency === null) return []
  const { interval, total } = latency
  const time = (microseconds: number): string => {
    if (microseconds >= 1e6) return `${(microseconds / 1e6).toFixed(2)} s`
    if (microseconds >= 1e3) return `${(microseconds / 1e3).toFixed(1)} ms`
    return `${microseconds.toFixed(1)} ${unicode ? 'µ' : 'u'}s`
  }
  const line = new ScreenLine().add('  round trip ')
  if (interval === null) line.add('none came back')
  else line.add(`p50 ${time(interval.p50)}, p99 ${time(interval.p99)}, max ${time(interval.max)}`)
  const { sent, returned } = total
  if (typeof sent === 'number' && typeof returned === 'number' && sent > returned)
    line.add(`; not back ${grouped(sent - returned)} of ${grouped(sent)}`)
  return [line]
}

/** `14.9M`, `812k`, `7.5`; `-` where it isn't known. */
export function short(value: number | null): string {
  if (value === null) return '-'
  const units = ['', 'k', 'M', 'G', 'T']
  let scaled = value
  let unit = 0
  // What would be rounded to 1000 is one of the next.
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  if (value < 9.995 && value > 0) return scaled.toFixed(2)
  return `${scaled.toFixed(unit === 0 || scaled >= 99.95 ? 0 : 1)}${units[unit]}`
}

function linkText(mbit: number): string {
  if (mbit === 0) return 'up'
  return mbit >= 1000 ? `${mbit / 1000}G` : `${mbit}M`
}

/** `45 S`, `MINUTE`, `5 MIN`, `2 H 5 MIN` */
function timeText(seconds: number): string {
  if (seconds === 60) return 'MINUTE'
  if (seconds < 120) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.floor(seconds)} S`
  const minutes = Math.floor(seconds / 60)
  return minutes < 120 ? `${minutes} MIN` : `${Math.floor(minutes / 60)} H ${minutes % 60} MIN`
}

const BLOCKS = '▁▂▃▄▅▆▇█'
const LETTERS = '_.-~=+*#'

/** The newest at the right end of `width` columns, which stand for HISTORY values; each shows the most of its own. */
export function sparkline(values: readonly number[], width: number, unicode: boolean): string {
  const levels = unicode ? BLOCKS : LETTERS
  const most = Math.max(...values)
  const slots = [...Array.from({ length: HISTORY - values.length }, () => null), ...values]
  return Array.from({ length: width }, (_, cell) => {
    const from = Math.floor((cell * HISTORY) / width)
    const own = slots.slice(from, Math.max(from + 1, Math.floor(((cell + 1) * HISTORY) / width)))
    const known = own.filter((value) => value !== null)
    if (known.length === 0) return ' '
    const level = most > 0 ? Math.ceil((Math.max(...known) / most) * (levels.length - 1)) : 0
    return levels[level]
  }).join('')
}
