/** Draws the sweeps that have been measured, each into a file of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { resident } from '../lib/footprint.ts'
import { type Panel, type Plot, plotSvg } from '../lib/plot-svg.ts'
import type { ControlCost } from './control.ts'
import type { Measured, Share } from './share.ts'
import type { MemoryOverTime } from './time.ts'
import type { Point, Spread } from './tool.ts'

/** As the results keep it: what has not been measured is missing. */
export interface Measurements {
  readonly share?: Share
  readonly queues?: readonly Point[]
  readonly devices?: readonly Point[]
  readonly rings?: readonly Point[]
  readonly frames?: readonly Point[]
  readonly flows?: { readonly points: readonly Point[]; readonly spread: readonly Spread[] }
  readonly control?: readonly ControlCost[]
  readonly time?: MemoryOverTime
}

const mebibytes = (kib: number): number => kib / 1024

/** Rate, memory and start-up of the whole program. */
function panelsOf(x: string, points: readonly Point[]): Panel[] {
  const series = (label: string, of: (point: Point) => number): Panel['series'][number] => ({
    label,
    points: points.map((point) => [point.x, of(point)] as const),
  })
  return [
    { title: 'Mpps, sum of all devices', x, series: [series('', ({ mpps }) => mpps)] },
    {
      title: 'MiB resident, without packets',
      x,
      series: [
        series('program', ({ ownKib }) => mebibytes(ownKib[0])),
        series('virtual NICs', ({ ownKib }) => mebibytes(ownKib[1])),
      ],
    },
    { title: 'ms until packets flow', x, series: [series('', ({ startup }) => startup)] },
  ]
}

function shareOf(x: string, all: readonly Measured[], value: (one: Measured) => number): Panel {
  const of = (what: 'min' | 'median'): Panel['series'][number] => ({
    label: what === 'min' ? 'least' : 'median',
    points: all.map((one) => [value(one), one[what]] as const),
  })
  return { title: 'ns per packet', x, series: [of('min'), of('median')] }
}

function plots({
  share,
  queues,
  devices,
  rings,
  frames,
  flows,
  control,
  time,
}: Measurements): Record<string, Plot> {
  const drawn: Record<string, Plot | null> = {
    queues:
      queues === undefined
        ? null
        : { title: 'More queues', logarithmic: true, panels: panelsOf('queues, a worker each', queues) },
    devices:
      devices === undefined
        ? null
        : { title: 'More devices', logarithmic: false, panels: panelsOf('devices, in pairs', devices) },
    rings:
      rings === undefined
        ? null
        : { title: 'Larger rings', logarithmic: true, panels: panelsOf('descriptors per ring', rings) },
    frames:
      frames === undefined
        ? null
        : { title: 'Longer packets', logarithmic: true, panels: panelsOf('bytes per packet', frames) },
  }
  if (flows !== undefined) {
    const spread = flows.spread.map((one) => [one.flows, one.busiest] as const)
    const [rate, memory] = panelsOf('flows', flows.points)
    const even = {
      title: 'load of the busiest of 8 queues, 1 is even',
      x: 'flows',
      series: [{ label: '', points: spread }],
    }
    drawn['flows'] = { title: 'More flows', logarithmic: true, panels: [rate, memory, even] }
  }
  if (share !== undefined) {
    drawn['share'] = {
      title: 'The driver’s share of a packet: TypeScript, forward, batch 32',
      logarithmic: true,
      panels: [
        shareOf('descriptors per ring', share.rings, ({ ring }) => ring),
        shareOf('bytes per packet', share.frames, ({ frameBytes }) => frameBytes),
        shareOf('buffers per pool', share.pools, ({ poolShift }) => 1 << poolShift),
      ],
    }
  }
  if (control !== undefined) {
    const clients = [...new Set(control.map((one) => one.clients))]
    const series = clients.map((count) => ({
      label: `${count} ${count === 1 ? 'client' : 'clients'}`,
      points: control.filter((one) => one.clients === count).map((one) => [one.queues, one.mainMs] as const),
    }))
    const title = 'ms of the main thread per second'
    drawn['control'] = { title: 'Counting', logarithmic: true, panels: [{ title, x: 'queues', series }] }
  }
  if (time !== undefined) {
    const series = ['program', 'virtual NICs'].map((label, i) => ({
      label,
      points: time.samples.map(({ at, processes }) => [at / 60, resident(processes[i]) / 2 ** 20] as const),
    }))
    drawn['time'] = {
      title: 'Resident memory of a long run',
      logarithmic: false,
      panels: [{ title: 'MiB', x: 'minutes', series }],
    }
  }
  return Object.fromEntries(
    Object.entries(drawn).flatMap(([name, plot]) => (plot === null ? [] : [[name, plot]])),
  )
}

/** Writes `scaling-<sweep>.svg` into the folder. */
export function drawSweeps(measurements: Measurements, folder: string): void {
  for (const [name, plot] of Object.entries(plots(measurements)))
    writeFileSync(join(folder, `scaling-${name}.svg`), plotSvg(plot))
}
