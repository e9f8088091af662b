/** The intervals of runs as a table for spreadsheets and scripts (RFC 4180). */
import type { RunData } from './model.ts'
import { wireBits } from '../../packet/rate.ts'

const COUNTS = ['packets', 'bytes', 'packets_per_second', 'bits_per_second'] as const

/** One line per stretch of time and device or queue: what was counted in it. */
export function csv(runs: readonly RunData[]): string {
  const causes = [
    ...new Set(
      runs.flatMap(({ series }) =>
        series.flatMap(({ stretches }) => stretches.flatMap(({ dropped }) => Object.keys(dropped))),
      ),
    ),
  ].sort()
  const head = [
    ...['run', 'device', 'index', 'queue', 'end', 'seconds'],
    ...['rx', 'tx'].flatMap((direction) => COUNTS.map((count) => `${direction}_${count}`)),
    ...causes.map((cause) => `dropped_${cause}`),
  ]
  const rows = runs.flatMap(({ name, series }) =>
    series.flatMap(({ label, index, queue, stretches }) =>
      stretches.map(({ end, seconds, rx, tx, dropped }) => [
        ...[name, label, index, queue ?? '', rounded(end), rounded(seconds)],
        ...[rx, tx].flatMap(({ packets, bytes }) => [
          packets,
          bytes,
          seconds > 0 ? rounded(packets / seconds) : '',
          seconds > 0 ? rounded(wireBits(packets, bytes) / seconds) : '',
        ]),
        ...causes.map((cause) => dropped[cause] ?? 0),
      ]),
    ),
  )
  return [head, ...rows].map((row) => row.map(field).join(',') + '\r\n').join('')
}

function rounded(value: number): number {
  return Number(value.toPrecision(10))
}

function field(value: string | number): string {
  // What a spreadsheet would take for a formula is text.
  const text = typeof value === 'string' && /^[=+@-]/.test(value) ? `'${value}` : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
