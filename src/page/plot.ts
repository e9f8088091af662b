/** A chart with its legend, usable by pointer and by keys, and its data as a table. */
import uPlot from 'uplot'
import { CLOCK, decades, ticks } from './axes.ts'
import { tableOf } from './data-table.ts'
import type { Drawing, Line, PlotOptions } from './drawing.ts'

const COLOURS = 6
const DASH = [6, 4]
const HEIGHT = 260

const now = (): CSSStyleDeclaration => getComputedStyle(document.documentElement)
const colourOf = (name: string): string => now().getPropertyValue(name).trim()

const plots = new Set<Plot>()

// Colours are drawn into a canvas: whoever changes the theme, or prints, needs others.
for (const query of ['(prefers-color-scheme: dark)', 'print'])
  matchMedia(query).addEventListener('change', () => {
    for (const plot of plots) plot.redraw()
  })

export class Plot {
  private readonly options: PlotOptions
  private readonly host = document.createElement('div')
  private readonly legend = document.createElement('div')
  private readonly at = document.createElement('div')
  private readonly spoken = document.createElement('p')
  private readonly hidden = new Set<string>()
  private drawing: Drawing
  private chart: uPlot | null = null
  private buttons: HTMLButtonElement[] = []
  private shape = ''

  constructor(figure: HTMLElement, drawing: Drawing, options: PlotOptions) {
    this.drawing = drawing
    this.options = options
    this.host.className = 'plot'
    this.host.tabIndex = 0
    this.host.setAttribute('role', 'img')
    this.host.addEventListener('keydown', (event) => this.key(event))
    this.legend.className = 'legend'
    this.legend.setAttribute('role', 'group')
    this.legend.setAttribute('aria-label', `Lines of the chart: ${options.title}`)
    this.at.className = 'at'
    this.spoken.className = 'hidden'
    this.spoken.setAttribute('aria-live', 'polite')
    figure.append(this.host, this.at, this.legend, this.spoken, this.dataTable())
    new ResizeObserver(() => this.chart?.setSize({ width: this.host.clientWidth, height: HEIGHT })).observe(
      this.host,
    )
    plots.add(this)
    this.redraw()
  }

  /** Other values, and perhaps other lines. */
  update(drawing: Drawing): void {
    this.drawing = drawing
    if (this.chart === null || shapeOf(drawing) !== this.shape) this.redraw()
    else this.chart.setData(dataOf(drawing))
    this.label()
  }

  remove(): void {
    plots.delete(this)
    this.chart?.destroy()
  }

  redraw(): void {
    const { drawing } = this
    this.chart?.destroy()
    this.shape = shapeOf(drawing)
    this.buttons = drawing.lines.map((line) => this.button(line))
    this.legend.replaceChildren(...this.buttons)
    this.chart = new uPlot(this.config(), dataOf(drawing), this.host)
    this.label()
  }

  private label(): void {
    const { title, xName, xText, yText } = this.options
    const { x, lines } = this.drawing
    const ranges = lines.map(({ label, values }) => {
      const known = values.filter((value) => typeof value === 'number')
      if (known.length === 0) return `${label}: no value`
      return `${label}: ${yText(Math.min(...known))} to ${yText(Math.max(...known))}`
    })
    const span = x.length === 0 ? '' : ` ${xName} ${xText(x[0])} to ${xText(x[x.length - 1])}.`
    this.host.setAttribute(
      'aria-label',
      `Chart: ${title}.${span} ${ranges.join('; ')}. Arrow keys read its values.`,
    )
  }

  private config(): uPlot.Options {
    const { xText, yText, log = false, time = false, points = false, before = false } = this.options
    const { lines } = this.drawing
    const axis = {
      stroke: colourOf('--soft'),
      grid: { stroke: colourOf('--grid'), width: 1 },
      ticks: { stroke: colourOf('--line'), width: 1 },
      font: '12px system-ui, sans-serif',
    }
    const paths = points ? uPlot.paths.linear?.() : uPlot.paths.stepped?.({ align: before ? -1 : 1 })
    const spanGaps = true
    const series: uPlot.Series[] = [{}]
    const bands: uPlot.Band[] = []
    for (const line of lines) {
      const stroke = colourOf(`--series-${line.colour % COLOURS}`)
      const show = !this.hidden.has(line.label)
      series.push({
        label: line.label,
        stroke,
        width: 2,
        show,
        points: { show: points },
        spanGaps,
        ...(line.dashed ? { dash: DASH } : {}),
        ...(paths === undefined ? {} : { paths }),
      })
    }
    lines.forEach((line) => {
      if (line.band === undefined) return
      const edge: uPlot.Series = {
        width: 0,
        points: { show: false },
        spanGaps,
        show: !this.hidden.has(line.label),
        ...(paths === undefined ? {} : { paths }),
      }
      series.push(edge, edge)
      bands.push({
        series: [series.length - 1, series.length - 2],
        fill: `${colourOf(`--series-${line.colour % COLOURS}`)}33`,
      })
    })
    return {
      width: Math.max(200, this.host.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { size: 7 } },
      scales: log
        ? { x: { time: false, distr: 3, range: decades }, y: { distr: 3, range: decades } }
        : { x: { time }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
      axes: [
        { ...axis, ...(time ? CLOCK : ticks(xText, log)), size: 30, space: 70 },
        { ...axis, ...ticks(yText, log), size: 80, space: log ? 20 : 40 },
      ],
      series,
      bands,
      hooks: { setCursor: [(chart) => this.read(chart)] },
    }
  }

  private button(line: Line): HTMLButtonElement {
    const button = document.createElement('button')
    button.type = 'button'
    const svg = `<svg width="22" height="8" aria-hidden="true"><line x1="1" y1="4" x2="21" y2="4" stroke="var(--series-${line.colour % COLOURS})" stroke-width="3"${line.dashed ? ' stroke-dasharray="6 3"' : ''}/></svg>`
    button.innerHTML = svg
    const name = document.createElement('span')
    name.textContent = line.label
    button.append(name, Object.assign(document.createElement('span'), { className: 'value' }))
    button.setAttribute('aria-pressed', String(!this.hidden.has(line.label)))
    button.addEventListener('click', () => {
      if (!this.hidden.delete(line.label)) this.hidden.add(line.label)
      const focused = this.buttons.indexOf(button)
      this.redraw()
      this.buttons[focused]?.focus()
    })
    return button
  }

  /** Shows the values under the cursor. */
  private read({ cursor: { idx } }: uPlot): void {
    const { x, lines } = this.drawing
    const { xName, xText, yText } = this.options
    const place = typeof idx === 'number' && idx < x.length ? idx : null
    this.at.textContent = place === null ? '' : `${xName} ${xText(x[place])}`
    lines.forEach(({ values }, i) => {
      const output = this.buttons[i]?.querySelector('.value')
      const value = place === null ? null : values[place]
      if (output) output.textContent = typeof value === 'number' ? yText(value) : ''
    })
  }

  private key(event: KeyboardEvent): void {
    const { chart } = this
    const last = this.drawing.x.length - 1
    if (chart === null || last < 0) return
    const idx = chart.cursor.idx ?? null
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: idx === null ? 0 : idx + 1,
      ArrowLeft: idx === null ? last : idx - 1,
      PageUp: (idx ?? 0) - 10,
      PageDown: (idx ?? 0) + 10,
      Home: 0,
      End: last,
    }
    if (event.key === 'Escape') chart.setCursor({ left: -10, top: -10 })
    if (!Object.hasOwn(steps, event.key)) return
    event.preventDefault()
    const to = Math.min(last, Math.max(0, steps[event.key]))
    chart.setCursor({ left: chart.valToPos(this.drawing.x[to], 'x'), top: 10 })
    const { x, lines } = this.drawing
    const { xName, xText, yText } = this.options
    const values = lines.flatMap(({ label, values }) => {
      const value = values[to]
      return this.hidden.has(label) || typeof value !== 'number' ? [] : [`${label} ${yText(value)}`]
    })
    this.spoken.textContent = `${xName} ${xText(x[to])}: ${values.join(', ')}`
  }

  /** What is drawn, in numbers; made when somebody looks. */
  private dataTable(): HTMLElement {
    const details = document.createElement('details')
    const summary = document.createElement('summary')
    summary.textContent = 'As a table'
    details.append(summary)
    details.addEventListener('toggle', () => {
      details.querySelector('.data')?.remove()
      if (details.open) details.append(tableOf(this.drawing, this.options))
    })
    return details
  }
}

function shapeOf({ lines }: Drawing): string {
  return JSON.stringify(
    lines.map(({ label, colour, dashed, band }) => [label, colour, dashed, band !== undefined]),
  )
}

function dataOf({ x, lines }: Drawing): uPlot.AlignedData {
  const bands = lines.flatMap(({ band }) => (band === undefined ? [] : [band.low, band.high]))
  return [x, ...lines.map(({ values }) => values), ...bands] as unknown as uPlot.AlignedData
}
