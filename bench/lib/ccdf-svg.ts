/** A picture of how many packets took longer than a given time, both axes logarithmic. */

export interface Curve {
  readonly label: string
  readonly colour: string
  readonly dashed: boolean
  /** Ascending; `share`: of packets that took longer. */
  readonly points: readonly { readonly nanoseconds: number; readonly share: number }[]
}

const WIDTH = 780
const HEIGHT = 460
const LEFT = 80
const RIGHT = 32
const TOP = 44
const BOTTOM = 60
const TIMES = ['1 µs', '10 µs', '100 µs', '1 ms', '10 ms', '100 ms', '1 s']
const DECADES = 7
/** Steps of a curve that are shorter are left out. */
const VISIBLE = 0.5

export function ccdf(title: string, curves: readonly Curve[]): string {
  const slowest = Math.max(...curves.flatMap(({ points }) => points.map(({ nanoseconds }) => nanoseconds)))
  const columns = Math.min(TIMES.length - 1, Math.max(1, Math.ceil(Math.log10(slowest / 1000))))
  const x = (nanoseconds: number): number =>
    LEFT + (Math.max(0, Math.log10(nanoseconds / 1000)) * (WIDTH - LEFT - RIGHT)) / columns
  const y = (share: number): number =>
    TOP + (Math.min(DECADES, -Math.log10(share)) * (HEIGHT - TOP - BOTTOM)) / DECADES
  const text = (at: readonly [number, number], what: string, more = ''): string =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${what}</text>`
  const line = (from: readonly [number, number], to: readonly [number, number], more: string): string =>
    `<line x1="${from[0].toFixed(1)}" y1="${from[1].toFixed(1)}" x2="${to[0].toFixed(1)}" y2="${to[1].toFixed(1)}" ${more}/>`

  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text([WIDTH / 2, 24], title, 'text-anchor="middle" font-size="14"'),
  ]
  for (let i = 0; i <= columns; i++) {
    const at = x(1000 * 10 ** i)
    parts.push(line([at, TOP], [at, HEIGHT - BOTTOM], 'stroke="#ddd"'))
    parts.push(text([at, HEIGHT - BOTTOM + 18], TIMES[i], 'text-anchor="middle"'))
  }
  for (let i = 0; i <= DECADES; i++) {
    const at = y(10 ** -i)
    parts.push(line([LEFT, at], [WIDTH - RIGHT, at], 'stroke="#ddd"'))
    const percent = i < 3 ? String(100 / 10 ** i) : `0.${'0'.repeat(i - 3)}1`
    parts.push(text([LEFT - 8, at + 4], `${percent} %`, 'text-anchor="end"'))
  }
  const middle = (TOP + HEIGHT - BOTTOM) / 2
  parts.push(
    text([(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16], 'time from wire to wire', 'text-anchor="middle"'),
  )
  parts.push(
    text(
      [16, middle],
      'packets that took longer',
      `text-anchor="middle" transform="rotate(-90 16 ${middle})"`,
    ),
  )
  curves.forEach(({ label, colour, dashed, points }, i) => {
    const style = `stroke="${colour}" stroke-width="1.6" fill="none"${dashed ? ' stroke-dasharray="5 4"' : ''}`
    const path: string[] = [`M${LEFT} ${TOP}`]
    let [lastX, lastY] = [LEFT, TOP]
    for (const { nanoseconds, share } of points) {
      const at = x(nanoseconds)
      // The slowest packet has none above it: the curve ends where it is.
      const next = share > 0 ? y(share) : lastY
      if (share > 0 && Math.hypot(at - lastX, next - lastY) < VISIBLE) continue
      path.push(`H${at.toFixed(1)}V${next.toFixed(1)}`)
      lastX = at
      lastY = next
    }
    parts.push(`<path d="${path.join('')}" ${style}/>`)
    const row = TOP + 16 + i * 17
    parts.push(line([WIDTH - 150, row - 4], [WIDTH - 122, row - 4], style))
    parts.push(text([WIDTH - 116, row], label))
  })
  return `${parts.join('\n')}\n</svg>\n`
}
