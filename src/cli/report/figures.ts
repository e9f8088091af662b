/** Figures as a report shows them. */
import { bitRate, packetRate } from '../output/rates.ts'
import { grouped, words } from '../../wording.ts'
import { type Html, html, table } from './html.ts'

export function pps(perSecond: number | undefined): string {
  return perSecond === undefined ? '' : packetRate({ mpps: perSecond / 1e6 })
}

export function bps(perSecond: number | undefined): string {
  return perSecond === undefined ? '' : bitRate({ mbit: perSecond / 1e6 })
}

/** `12.3 µs`, `1.250 ms`: four digits. */
export function duration(microseconds: number | null): string {
  if (microseconds === null) return '–'
  const [value, unit] =
    microseconds >= 1e6
      ? [microseconds / 1e6, 's']
      : microseconds >= 1e3
        ? [microseconds / 1e3, 'ms']
        : [microseconds, 'µs']
  return `${Number(value.toPrecision(4))} ${unit}`
}

/** `0.0123 %`, `1 in 10^9` is not 0. */
export function share(ratio: number): string {
  return ratio === 0 ? '0 %' : `${Number((ratio * 100).toPrecision(3))} %`
}

/** `2026-11-27 14:31:04 UTC` */
export function moment(time: string): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return ''
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** Drawn by the page from the data of a run, or of all; what is in it can be had as a table there. */
export function chart(kind: string, place: number | 'all', title: string): Html {
  return html`<figure class="chart" data-chart="${kind}" data-run="${place}">
    <figcaption>${title}</figcaption>
  </figure>`
}

/** null if there are none. */
export function counterTable(caption: string, counters: Readonly<Record<string, number>>): Html | null {
  const rows = Object.entries(counters).map(([name, count]) => [words(name), grouped(count)])
  return rows.length === 0 ? null : table(caption, ['Counter', 'Count'], rows)
}
