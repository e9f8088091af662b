/** What a chart draws, in numbers. */
import type { Drawing, PlotOptions } from './drawing.ts'

export function tableOf({ x, lines }: Drawing, { title, xName, xText, yText }: PlotOptions): HTMLElement {
  const region = document.createElement('div')
  region.className = 'data'
  region.tabIndex = 0
  region.setAttribute('role', 'region')
  region.setAttribute('aria-label', title)
  const table = document.createElement('table')
  const head = table.createTHead().insertRow()
  for (const name of [xName, ...lines.map(({ label }) => label)]) {
    const cell = document.createElement('th')
    cell.scope = 'col'
    cell.className = 'n'
    cell.textContent = name
    head.append(cell)
  }
  const body = table.createTBody()
  x.forEach((value, i) => {
    const row = body.insertRow()
    for (const text of [
      xText(value),
      ...lines.map(({ values }) => {
        const value = values[i]
        return typeof value === 'number' ? yText(value) : ''
      }),
    ]) {
      const cell = row.insertCell()
      cell.className = 'n'
      cell.textContent = text
    }
  })
  region.append(table)
  return region
}
