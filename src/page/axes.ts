/** What stands along the axes of a chart. */
import type uPlot from 'uplot'

/** Hours and minutes, with seconds where ticks are closer than that. */
export const CLOCK: uPlot.Axis = {
  incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800],
  values: (_, ticks) =>
    ticks.map((tick) => new Date(tick * 1000).toTimeString().slice(0, tick % 60 === 0 ? 5 : 8)),
}

/** `125.00 kpps` is `125 kpps` at an axis; a logarithmic one has powers of ten. */
export function ticks(text: (value: number) => string, log: boolean): uPlot.Axis {
  const short = (value: number): string =>
    value === 0
      ? '0'
      : text(value)
          .replace(/(\.\d*?)0+(?= |$)/, '$1')
          .replace(/\.(?= |$)/, '')
  const values: uPlot.Axis.DynamicValues = (_, values) =>
    values.map((value) => (value === null ? '' : short(value)))
  return log ? { values, splits: (_, __, least, most) => powers(least, most) } : { values }
}

/** From one power of ten to another. */
export function decades(_: uPlot, least: number, most: number): [number, number] {
  const [low, high] = [Math.floor(Math.log10(least) + 1e-9), Math.ceil(Math.log10(most) - 1e-9)]
  return [10 ** low, 10 ** Math.max(high, low + 1)]
}

function powers(least: number, most: number): number[] {
  const first = Math.ceil(Math.log10(least) - 1e-9)
  const count = Math.floor(Math.log10(most) + 1e-9) - first + 1
  return Array.from({ length: Math.max(0, count) }, (_, i) => Number(`1e${first + i}`))
}
