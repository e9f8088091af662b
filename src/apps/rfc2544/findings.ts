/** The results in words, and whether they are what was expected. */
import { IxyError } from '../../errors.ts'
import { counted, grouped } from '../../wording.ts'
import type { Findings } from '../command.ts'
import { loadOf, loadText as rate } from './load.ts'
import { endObject } from './report.ts'
import type { RateResult, Rfc2544Result, SizeResults } from './results.ts'

/** Beside what is a limit of this end, and what is said of it below. */
const TESTER = 'tester'
const LEGEND = 'tester: a limit of this end, which could not offer, or take in, all of it'

/** null: the run has not begun. */
export function findingsOf(result: Rfc2544Result | null): Findings {
  if (result === null) return { json: { rfc2544: null }, text: null, warnings: [], loss: null }
  const { complete, trials, sizes, directions } = result
  const each = directions === 2 ? ', each direction' : ''
  const first = `${counted(trials, 'trial')}${each}${complete ? '' : '; incomplete: it was ended before all was done'}`
  return {
    json: { ...endObject(result) },
    text: { title: 'RFC 2544: ', first, lines: withLegend(linesOf(sizes)) },
    warnings: sizes.flatMap(warningsOf),
    loss: null,
    alone: true,
  }
}

function withLegend(lines: readonly string[]): string[] {
  return lines.some((line) => line.endsWith(TESTER)) ? [...lines, '', LEGEND] : [...lines]
}

/** What this end has to do with the results. */
function warningsOf({ frameBytes, testerLimit, latency, backToBack, reset }: SizeResults): string[] {
  const warnings: string[] = []
  if (testerLimit !== null)
    warnings.push(
      `${frameBytes} bytes: this end could not offer, or take in, more than ${rate(testerLimit)}: ` +
        'what the device does above that is not known',
    )
  for (const [test, result] of Object.entries({ latency, 'back-to-back': backToBack, reset }))
    if (result !== null && result.droppedHere > 0)
      warnings.push(
        `${frameBytes} bytes, ${test}: of the frames that are missing, this end has dropped ${grouped(result.droppedHere)} itself`,
      )
  return warnings
}

function linesOf(sizes: readonly SizeResults[]): string[] {
  return [
    ...ratesTable(sizes),
    ...section(
      sizes,
      ['latency, µs', 'at', 'min', 'mean', 'p99', 'p99.9', 'max', 'lost'],
      ({ latency }) =>
        latency && [
          rate(latency.load),
          ...[latency.min, latency.mean, latency.p99, latency.p999, latency.max].map(microseconds),
          grouped(latency.lost),
        ],
    ),
    ...section(
      sizes,
      ['back-to-back', 'frames', 'at', ''],
      ({ backToBack }) =>
        backToBack && [
          `${backToBack.atLeast ? '>= ' : ''}${backToBack.frames}`,
          rate(backToBack.load),
          `average of ${backToBack.searches}`,
        ],
    ),
    ...sizes.flatMap(({ frameBytes, loss }) =>
      loss === null || loss.length === 0
        ? []
        : [
            '',
            ...table([
              [`loss, ${frameBytes} bytes`, 'offered', 'lost', ''],
              ...loss.map(({ share, offered, lossRatio, unusable }) => [
                percent(share),
                rate(offered),
                percent(lossRatio),
                unusable === null ? '' : TESTER,
              ]),
            ]),
          ],
    ),
    ...section(
      sizes,
      ['reset', 'by loss', 'by time', 'at'],
      ({ reset }) =>
        reset && [`${reset.byLoss.toFixed(3)} s`, `${reset.byTime.toFixed(3)} s`, rate(reset.load)],
    ),
  ]
}

function ratesTable(sizes: readonly SizeResults[]): string[] {
  const tested = sizes.filter(({ throughput }) => throughput !== null)
  if (tested.length === 0) return []
  return table([
    ['bytes', 'throughput', 'of line rate', 'NDR', 'PDR', ''],
    ...tested.map((size) => {
      const load = size.throughput?.load ?? null
      return [
        String(size.frameBytes),
        found(size.throughput),
        load === null ? '-' : percent(load / size.lineRate),
        found(size.ndr),
        found(size.pdr),
        [size.throughput, size.ndr, size.pdr].some((one) => one?.testerLimited === true) ? TESTER : '',
      ]
    }),
  ])
}

/** A search that isn't at its end knows a bound at best. */
function found(result: RateResult | null): string {
  if (result === null) return '-'
  const { load, reached, testerLimited } = result
  if (load === null) return reached ? '0' : '?'
  return `${reached && !testerLimited ? '' : '>= '}${rate(load)}`
}

function section(
  sizes: readonly SizeResults[],
  [title, ...heads]: readonly string[],
  row: (size: SizeResults) => readonly string[] | null,
): string[] {
  const rows = sizes.flatMap((size) => {
    const cells = row(size)
    return cells === null ? [] : [[`${size.frameBytes} bytes`, ...cells]]
  })
  return rows.length === 0 ? [] : ['', ...table([[title, ...heads], ...rows])]
}

/** Columns to the right, but for the first and the last. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  )
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(4))} %`
}

function microseconds(value: number): string {
  return String(Number(value.toPrecision(4)))
}

/** `wanted`: as written, `1Mpps` or `50%`. */
export function unmetThroughput(result: Rfc2544Result | null, wanted: string | undefined): IxyError[] {
  if (wanted === undefined) return []
  const unmet = (what: string): IxyError =>
    new IxyError('IXY_ERR_EXPECTATION', `${what}, expected at least ${wanted} (--expect-throughput)`)
  if (result === null || !result.complete) return [unmet('not all frame sizes were tested')]
  return result.sizes.flatMap(({ frameBytes, throughput }) => {
    const load = throughput?.load ?? 0
    const met = load >= loadOf(wanted, frameBytes, result.linkMbit)
    return met ? [] : [unmet(`the throughput of ${frameBytes} bytes is ${rate(load)}`)]
  })
}
