/** Small line plots side by side. They bring their own background, light or dark as the reader's system is, and so are legible on any page. */

export interface Series {
  readonly label: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Panel {
  /** What is on the vertical axis, with its unit. */
  readonly title: string
  /** What is on the horizontal axis, with its unit. */
  readonly x: string
  readonly series: readonly Series[]
}

export interface Plot {
  readonly title: string
  /** Else linear from 0. */
  readonly logarithmic: boolean
  readonly panels: readonly Panel[]
}

const PANEL = 330
const HEIGHT = 300
const [LEFT, RIGHT, TOP, BOTTOM] = [56, 20, 66, 48]
/** Horizontal grid lines, about. */
const LINES = 5
/** So many values of a linear axis are marked one by one, more by whole multiples. */
const MARKS = 9
/** About as wide as a character is, and the room between two labels. */
const [CHARACTER, GAP] = [7.3, 5]

const STYLE = `.page{fill:#fff}text{fill:#333}.grid{stroke:#ddd}.s0{stroke:#1f6fb4;fill:#1f6fb4}.s1{stroke:#c4541a;fill:#c4541a}.s2{stroke:#2a8a4a;fill:#2a8a4a}.s3{stroke:#8a4fa8;fill:#8a4fa8}path{fill:none!important;stroke-width:1.8}text.s0,text.s1,text.s2,text.s3{stroke:none}@media(prefers-color-scheme:dark){.page{fill:#0d1117}text{fill:#ddd}.grid{stroke:#444}.s0{stroke:#6db3f2;fill:#6db3f2}.s1{stroke:#f0935a;fill:#f0935a}.s2{stroke:#6ccf8a;fill:#6ccf8a}.s3{stroke:#c79be0;fill:#c79be0}}`

export function plotSvg({ title, logarithmic, panels }: Plot): string {
  const width = panels.length * PANEL
  const drawn = panels.map((panel, i) => drawPanel(panel, i * PANEL, logarithmic))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" font-family="sans-serif" font-size="12">
<title>${escape(title)}</title>
<style>${STYLE}</style>
<rect class="page" width="${width}" height="${HEIGHT}"/>
${text(width / 2, 18, title, 'text-anchor="middle" font-size="14"')}
${drawn.join('\n')}
</svg>
`
}

function drawPanel({ title, x: xTitle, series }: Panel, left: number, logarithmic: boolean): string {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b)
  const highest = Math.max(...series.flatMap(({ points }) => points.map(([, y]) => y)))
  const step = niceStep(highest / LINES)
  const top = Math.max(step, Math.ceil((highest * 1.02) / step) * step)
  const [from, to] = logarithmic ? [Math.log2(xs[0]), Math.log2(xs[xs.length - 1])] : [0, xs[xs.length - 1]]
  const [x0, x1, y0, y1] = [left + LEFT, left + PANEL - RIGHT, HEIGHT - BOTTOM, TOP]
  const across = (value: number): number =>
    x0 + (((logarithmic ? Math.log2(value) : value) - from) / (to - from)) * (x1 - x0)
  const up = (value: number): number => y0 - (value / top) * (y0 - y1)

  const parts = [text(x0 - LEFT + 8, TOP - 26, title, 'font-weight="bold"')]
  for (let i = 0; i * step <= top * 1.0001; i++) {
    const y = up(i * step)
    parts.push(line(x0, y, x1, y))
    parts.push(text(x0 - 6, y + 4, number(i * step, step), 'text-anchor="end"'))
  }
  // From right to left: the largest value has its label, a smaller one only where there is room.
  let room = Infinity
  for (const mark of marks(xs, logarithmic).reverse()) {
    const half = (short(mark).length * CHARACTER) / 2
    parts.push(line(across(mark), y0, across(mark), y0 + 4))
    if (across(mark) + half > room) continue
    parts.push(text(across(mark), y0 + 18, short(mark), 'text-anchor="middle"'))
    room = across(mark) - half - GAP
  }
  parts.push(text((x0 + x1) / 2, y0 + 38, xTitle, 'text-anchor="middle"'))
  let label = x0
  series.forEach(({ label: name, points }, i) => {
    const path = points.map(
      ([px, py], j) => `${j === 0 ? 'M' : 'L'}${across(px).toFixed(1)} ${up(py).toFixed(1)}`,
    )
    parts.push(`<path class="s${i}" d="${path.join('')}"/>`)
    // Many points are a line; few are seen one by one.
    if (points.length <= 16)
      for (const [px, py] of points)
        parts.push(`<circle class="s${i}" cx="${across(px).toFixed(1)}" cy="${up(py).toFixed(1)}" r="2.6"/>`)
    if (series.length > 1) {
      parts.push(text(label, TOP - 9, name, `class="s${i}"`))
      label += 14 + name.length * CHARACTER
    }
  })
  return parts.join('\n')
}

/** The values that are there, or whole multiples where those are many; ascending. */
function marks(xs: readonly number[], logarithmic: boolean): number[] {
  if (logarithmic || xs.length <= MARKS) return [...xs]
  const last = xs[xs.length - 1]
  const step = niceStep(last / 6)
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => i * step)
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least || 1))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999) ?? 10 * power
}

function number(value: number, step: number): string {
  return step >= 1 ? String(Math.round(value)) : value.toFixed(Math.ceil(-Math.log10(step)))
}

/** 65536: 64k. */
function short(value: number): string {
  return value >= 1024 && value % 1024 === 0 ? `${value / 1024}k` : String(Math.round(value))
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="grid" x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}"/>`
}

function text(x: number, y: number, what: string, more: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escape(what)}</text>`
}

function escape(what: string): string {
  return what.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
