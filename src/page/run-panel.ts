/** One run on the live page. */
import type { RunState, TrafficState } from '../cli/monitor/state.ts'
import { bps, duration, moment, pps, share } from '../cli/report/figures.ts'
import { type Html, html, table, tile } from '../cli/report/html.ts'
import { grouped, words } from '../wording.ts'
import { type Kind, Past, sum } from './past.ts'
import type { PlotOptions } from './drawing.ts'
import { Plot } from './plot.ts'

type Chart = Omit<PlotOptions, 'xName' | 'xText' | 'time'>

const CHARTS: Readonly<Record<Kind, Chart>> = {
  packets: { title: 'Packets per second', yText: pps },
  bits: { title: 'Bits per second on the wire', yText: bps },
  drops: { title: 'Drops per second', yText: pps },
  latency: { title: 'Round trips of each interval', yText: duration },
  queues: { title: 'Packets per second, by queue', yText: pps },
}

const clock = (seconds: number): string => new Date(seconds * 1000).toTimeString().slice(0, 8)

export class RunPanel {
  readonly element = document.createElement('section')
  readonly past = new Past()
  private readonly tiles = document.createElement('div')
  private readonly charts = document.createElement('div')
  private readonly tables = document.createElement('div')
  private readonly verdict = document.createElement('p')
  private readonly plots = new Map<Kind, Plot>()
  private over = false

  constructor({ id, command, pid, startedAt, version }: RunState) {
    const heading = document.createElement('h2')
    heading.id = `run-${id}`
    heading.textContent = `${command}, pid ${pid}`
    const meta = document.createElement('p')
    meta.className = 'meta'
    meta.textContent = [startedAt === null ? '' : `since ${moment(startedAt)}`, `ixy-ts ${version}`]
      .filter((text) => text !== '')
      .join(' · ')
    this.element.setAttribute('aria-labelledby', heading.id)
    this.element.className = 'run'
    this.charts.className = 'charts'
    this.verdict.className = 'verdict warn'
    this.verdict.hidden = true
    this.element.append(heading, meta, this.verdict, this.tiles, this.charts, this.tables)
  }

  get ended(): boolean {
    return this.over
  }

  end(): void {
    this.over = true
    this.tell('It has ended, or is no longer here; these are its last numbers.')
  }

  /** `seconds`: how much of the past is drawn. */
  show(run: RunState, seconds: number): void {
    this.over = false
    const state =
      run.state === 'running'
        ? ''
        : run.state === 'stopped'
          ? 'It is stopped: these are its last numbers.'
          : 'It does not answer: these are its last numbers.'
    this.tell(state)
    this.tiles.innerHTML = tilesOf(run).text
    replaceTables(this.tables, tablesOf(run))
    for (const kind of ['packets', 'bits', 'drops', 'latency', 'queues'] as const) this.draw(kind, seconds)
  }

  private tell(text: string): void {
    this.verdict.hidden = text === ''
    if (this.verdict.textContent !== text) this.verdict.textContent = text
  }

  private draw(kind: Kind, seconds: number): void {
    const drawing = this.past.drawing(kind, seconds)
    const plot = this.plots.get(kind)
    if (plot !== undefined) plot.update(drawing)
    else if (
      drawing.lines.length > 0 &&
      (kind !== 'drops' || drawing.lines.some(({ values }) => values.some((value) => (value ?? 0) > 0)))
    ) {
      const figure = document.createElement('figure')
      figure.className = 'chart'
      const caption = document.createElement('figcaption')
      caption.textContent = CHARTS[kind].title
      figure.append(caption)
      this.charts.append(figure)
      this.plots.set(
        kind,
        new Plot(figure, drawing, { ...CHARTS[kind], xName: 'At', xText: clock, time: true, before: true }),
      )
    }
  }

  remove(): void {
    for (const plot of this.plots.values()) plot.remove()
    this.element.remove()
  }
}

/** Keeps the regions, one of which may have the focus, and puts new tables into them. */
function replaceTables(container: HTMLElement, markup: Html): void {
  const made = document.createElement('div')
  made.innerHTML = markup.text
  const [old, young] = [container, made].map((parent) => [...parent.children])
  if (old.length !== young.length) container.replaceChildren(...young)
  else
    young.forEach((child, i) => {
      old[i].scrollLeft = Math.max(0, old[i].scrollLeft)
      old[i].replaceChildren(...child.childNodes)
    })
}

const known = (rates: readonly (number | null)[]): number | null =>
  rates.some((rate) => rate === null) ? null : rates.reduce<number>((all, rate) => all + (rate ?? 0), 0)

function tilesOf({ devices, latency, workers }: RunState): Html {
  const direction = (name: 'rx' | 'tx', title: string): Html => {
    const rate = known(devices.map((device) => device[name].packetsPerSecond))
    const packets = devices.reduce((all, device) => all + device[name].packets, 0)
    return tile(title, rate === null ? '–' : pps(rate), `${grouped(packets)} packets`)
  }
  const dropped = devices.reduce((all, device) => all + sum(device.dropped), 0)
  const perSecond = devices.reduce((all, { droppedPerSecond }) => all + sum(droppedPerSecond), 0)
  const busy = workers.flatMap(({ usefulShare }) => usefulShare ?? [])
  const { p50, p99, max } = latency?.interval ?? { p50: null, p99: null, max: null }
  return html`<dl class="tiles">
    ${direction('tx', 'Sent')}${direction('rx', 'Received')}${tile('Dropped', pps(perSecond), `${grouped(dropped)} packets`, perSecond > 0)}${latency === null ? null : tile('Round trip, p99', duration(p99), `median ${duration(p50)}, longest ${duration(max)}`)}${busy.length === 0 ? null : tile('Polls that moved packets', share(Math.max(...busy)), busy.length > 1 ? 'of the busiest worker' : 'of the worker')}
  </dl>`
}

function tablesOf(run: RunState): Html {
  const { devices, app, latency } = run
  const rows = devices.flatMap((device) => [
    ...trafficRows(device.label, device),
    ...device.queues.flatMap((queue) => trafficRows(`${device.label} queue ${queue.queue}`, queue)),
  ])
  const drops = devices.flatMap(({ label, dropped, droppedPerSecond }) =>
    Object.entries(dropped)
      .filter(([, count]) => count > 0)
      .map(([cause, count]) => [label, words(cause), grouped(count), pps(droppedPerSecond[cause] ?? 0)]),
  )
  const links = devices.map(({ label, model, mac, access, linkUp, linkMbit }) => [
    label,
    linkUp ? (linkMbit > 0 ? `${grouped(linkMbit)} Mbit/s` : 'up') : 'down',
    model,
    mac,
    access,
  ])
  const wires = devices.flatMap(({ label, wires }) =>
    wires.map(({ wire, counters }) => [
      label,
      wire,
      Object.entries(counters)
        .map(([name, count]) => `${words(name)} ${grouped(count)}`)
        .join(', '),
    ]),
  )
  const counters = Object.entries(app?.counters ?? {}).map(([name, count]) => [
    words(name),
    grouped(count),
    pps(app?.perSecond[name] ?? 0).replace('pps', '/s'),
  ])
  const probes = Object.entries(latency?.total ?? {})
    .filter(
      ([name, value]) =>
        value !== null && /^[a-oq-z]/.test(name) && !['min', 'mean', 'max', 'count'].includes(name),
    )
    .map(([name, value]) => [words(name), grouped(value ?? 0)])
  return html`${table('Traffic', ['Device', '', 'Packets', 'Bytes', 'Now', '', 'Peak', ''], rows, 2)}
  ${drops.length === 0 ? null : table('Dropped, by cause', ['Device', 'Cause', 'Packets', 'Now'], drops, 2)}
  ${counters.length === 0 ? null : table(`${app?.name ?? 'The app'}’s own counters`, ['Counter', 'Count', 'Now'], counters)}
  ${probes.length === 0 ? null : table('Probes', ['Counter', 'Count'], probes)}
  ${wires.length === 0 ? null : table('What the wires have counted', ['Device', 'Wire', 'Frames'], wires, 3)}
  ${table('Devices', ['Device', 'Link', 'Model', 'MAC', 'By'], links, 5)}`
}

function trafficRows(
  label: string,
  counters: { readonly rx: TrafficState; readonly tx: TrafficState },
): string[][] {
  return (['rx', 'tx'] as const).map((direction) => {
    const { packets, bytes, packetsPerSecond, bitsPerSecond, peakPacketsPerSecond, peakBitsPerSecond } =
      counters[direction]
    const or = (value: number | null, text: (value: number) => string): string =>
      value === null ? '–' : text(value)
    return [
      label,
      direction.toUpperCase(),
      grouped(packets),
      grouped(bytes),
      or(packetsPerSecond, pps),
      or(bitsPerSecond, bps),
      or(peakPacketsPerSecond, pps),
      or(peakBitsPerSecond, bps),
    ]
  })
}
