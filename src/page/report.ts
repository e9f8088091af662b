/** The charts of a report: everything else on the page is there without this. */
import { bps, duration, pps, share } from '../cli/report/figures.ts'
import type { Flow, Latency, Rfc2544, RunData, SeriesData, Stretch } from '../cli/report/model.ts'
import { wireBits } from '../packet/rate.ts'
import { words } from '../wording.ts'
import type { Drawing, Line, PlotOptions } from './drawing.ts'
import { Plot } from './plot.ts'

const runs = JSON.parse(document.getElementById('runs')?.textContent ?? '[]') as RunData[]

const seconds = (value: number): string => `${Number(value.toFixed(3))} s`
const OVER_TIME = { xText: seconds, xName: 'At', before: true }

interface Raw extends Omit<Line, 'values' | 'band'> {
  readonly stretches: readonly Stretch[]
  readonly value: (stretch: Stretch) => number
  /** Of what was merged. */
  readonly range?: (stretch: Stretch) => { readonly low: number; readonly high: number }
}

/** Lines over time, on one axis: each begins where its first stretch does. */
function overTime(raws: readonly Raw[]): Drawing {
  const places = new Map<number, number>()
  const begins = raws.map(({ stretches }) =>
    stretches.length === 0 ? 0 : stretches[0].end - stretches[0].seconds,
  )
  const x = [
    ...new Set([...begins, ...raws.flatMap(({ stretches }) => stretches.map(({ end }) => end))]),
  ].sort((a, b) => a - b)
  x.forEach((value, place) => places.set(value, place))
  const lines = raws.map(({ label, colour, dashed, stretches, value, range }, i): Line => {
    const along = (of: (stretch: Stretch) => number): (number | undefined)[] => {
      const values: (number | undefined)[] = new Array<undefined>(x.length).fill(undefined)
      const [first] = stretches
      if (first !== undefined) values[places.get(begins[i]) ?? 0] = of(first)
      for (const stretch of stretches) values[places.get(stretch.end) ?? 0] = of(stretch)
      return values
    }
    const band =
      range === undefined
        ? {}
        : {
            band: {
              low: along((stretch) => range(stretch).low),
              high: along((stretch) => range(stretch).high),
            },
          }
    return { label, colour, dashed, values: along(value), ...band }
  })
  return { x, lines }
}

/** Rates of less than half an interval, at the end, say little and look like a drop: they are in the table of totals. */
function whole(stretches: readonly Stretch[]): readonly Stretch[] {
  const last = stretches.at(-1)
  const before = stretches.at(-2)
  return last !== undefined && before !== undefined && last.seconds < before.seconds / 2
    ? stretches.slice(0, -1)
    : stretches
}

const rateOf = ({ packets }: Flow, { seconds }: Stretch): number => (seconds > 0 ? packets / seconds : 0)
const bitsOf = ({ packets, bytes }: Flow, { seconds }: Stretch): number =>
  seconds > 0 ? wireBits(packets, bytes) / seconds : 0

function rates(
  series: readonly SeriesData[],
  of: (flow: Flow, stretch: Stretch) => number,
  bands: boolean,
): Drawing {
  return overTime(
    series.flatMap(({ label, stretches }, colour) =>
      (['rx', 'tx'] as const).map((direction): Raw => {
        const drawn = whole(stretches)
        const merged = bands && drawn.some((stretch) => stretch[direction].high > stretch[direction].low)
        return {
          label: `${label} ${direction.toUpperCase()}`,
          colour,
          dashed: direction === 'tx',
          stretches: drawn,
          value: (stretch) => of(stretch[direction], stretch),
          ...(merged ? { range: (stretch: Stretch) => stretch[direction] } : {}),
        }
      }),
    ),
  )
}

function drops(series: readonly SeriesData[]): Drawing {
  const raws = series.flatMap(({ label, stretches }) => {
    const causes = [...new Set(stretches.flatMap(({ dropped }) => Object.keys(dropped)))]
    return causes
      .filter((cause) => whole(stretches).some(({ dropped }) => (dropped[cause] ?? 0) !== 0))
      .map((cause) => ({ label: `${label} ${words(cause)}`, cause, stretches: whole(stretches) }))
  })
  return overTime(
    raws.map(({ label, cause, stretches }, place) => ({
      label,
      colour: place,
      dashed: place >= 6,
      stretches,
      value: ({ dropped, seconds }) => (seconds > 0 ? (dropped[cause] ?? 0) / seconds : 0),
    })),
  )
}

const isWhole = ({ queue }: SeriesData): boolean => queue === null

/** What all devices of each run have sent together. */
function compared(): Drawing {
  return overTime(
    runs.map(({ name, series }, colour): Raw => {
      const devices = series.filter(isWhole).map(({ stretches }) => whole(stretches))
      const [first = []] = devices
      const together = first.map((stretch, i) => ({
        ...stretch,
        tx: {
          packets: devices.reduce((all, stretches) => all + (stretches[i]?.tx.packets ?? 0), 0),
          bytes: 0,
          low: 0,
          high: 0,
        },
      }))
      return {
        label: name,
        colour,
        dashed: colour >= 6,
        stretches: together,
        value: (stretch) => rateOf(stretch.tx, stretch),
      }
    }),
  )
}

/** For each run the share of round trips that took longer than x, microseconds. */
function exceedance(wanted: readonly RunData[]): Drawing {
  const curves = wanted.flatMap(({ name, latency }, colour) =>
    latency === null ? [] : [{ name, colour, points: pointsOf(latency) }],
  )
  const x = [...new Set(curves.flatMap(({ points }) => points.map(([time]) => time)))].sort((a, b) => a - b)
  const lines = curves.map(({ name, colour, points }): Line => {
    const shareAt = new Map(points)
    return {
      label: wanted.length === 1 ? 'round trips' : name,
      colour,
      dashed: colour >= 6,
      values: x.map((time) => shareAt.get(time)),
    }
  })
  return { x, lines }
}

function pointsOf({ histogram = [], min }: Latency): [time: number, share: number][] {
  const total = histogram.reduce((all, [, count]) => all + count, 0)
  const points: [number, number][] = [[Math.max(min ?? 0, 1e-3), 1]]
  let above = total
  for (const [time, count] of histogram) {
    above -= count
    // The longest has nothing above it, which no logarithm shows.
    points.push([Math.max(time, 1e-3), above > 0 ? above / total : (points.at(-1)?.[1] ?? 1)])
  }
  return points
}

const bytes = (value: number): string => `${value} bytes`

/** The results of rfc2544: by size of frames, or, of the loss, by load with a line for each size. */
function ofSizes(
  kind: 'throughput' | 'latency' | 'loss',
  { sizes }: Rfc2544,
): [Drawing, Omit<PlotOptions, 'title'>] {
  const plain = (label: string, colour: number, dashed: boolean, values: Line['values']): Line => ({
    label,
    colour,
    dashed,
    values,
  })
  if (kind === 'loss') {
    const x = [...new Set(sizes.flatMap(({ loss }) => (loss ?? []).map((point) => point.share)))].sort(
      (a, b) => a - b,
    )
    const lines = sizes.flatMap(({ frameBytes, loss }, colour) => {
      if (!loss) return []
      const ratios = new Map(
        loss.filter(({ unusable }) => unusable === null).map((point) => [point.share, point.lossRatio]),
      )
      return [
        plain(
          bytes(frameBytes),
          colour,
          colour >= 6,
          x.map((load) => ratios.get(load)),
        ),
      ]
    })
    return [
      { x, lines },
      { xText: share, xName: 'Of the largest load', yText: share, points: true },
    ]
  }
  const x = sizes.map(({ frameBytes }) => frameBytes)
  const options = { xText: bytes, xName: 'Frames of', points: true }
  if (kind === 'throughput') {
    const lines = [
      plain(
        'throughput',
        0,
        false,
        sizes.map(({ throughput }) => throughput?.packetsPerSecond ?? null),
      ),
      plain(
        'line rate',
        1,
        true,
        sizes.map(({ lineRate }) => lineRate.packetsPerSecond),
      ),
    ]
    return [
      { x, lines },
      { ...options, yText: pps },
    ]
  }
  const lines = (['p50', 'p99', 'max'] as const).map((name, colour) =>
    plain(
      name,
      colour,
      false,
      sizes.map(({ latency }) => latency?.[name] ?? null),
    ),
  )
  return [
    { x, lines },
    { ...options, yText: duration },
  ]
}

/** Draws what is asked for; null where there is nothing. */
function drawn(kind: string, of: readonly RunData[]): [Drawing, Omit<PlotOptions, 'title'>] | null {
  const [run] = of
  if (run === undefined) return null
  const devices = run.series.filter(isWhole)
  switch (kind) {
    case 'packets':
      return [rates(devices, rateOf, true), { ...OVER_TIME, yText: pps }]
    case 'bits':
      return [rates(devices, bitsOf, false), { ...OVER_TIME, yText: bps }]
    case 'queues':
      return [
        rates(
          run.series.filter((series) => !isWhole(series)),
          rateOf,
          true,
        ),
        { ...OVER_TIME, yText: pps },
      ]
    case 'drops':
      return [drops(devices), { ...OVER_TIME, yText: pps }]
    case 'compare':
      return [compared(), { ...OVER_TIME, yText: pps }]
    case 'throughput':
    case 'latency':
    case 'loss':
      return run.rfc2544 === null ? null : ofSizes(kind, run.rfc2544)
    case 'ccdf':
      return [exceedance(of), { xText: duration, yText: share, xName: 'Longer than', log: true }]
    default:
      return null
  }
}

for (const figure of document.querySelectorAll<HTMLElement>('figure.chart')) {
  const { chart = '', run = '' } = figure.dataset
  const found = drawn(chart, run === 'all' ? runs : runs.slice(Number(run), Number(run) + 1))
  if (found === null || found[0].lines.length === 0) {
    figure.remove()
    continue
  }
  const [drawing, options] = found
  new Plot(figure, drawing, { ...options, title: figure.querySelector('figcaption')?.textContent ?? '' })
}
