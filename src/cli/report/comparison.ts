/** Several runs side by side, each against the first. */
import { chart, duration, moment, pps, share } from './figures.ts'
import { type Html, html, table } from './html.ts'
import type { RunData, Total } from './model.ts'
import { sum } from '../../sum.ts'

/** A percentile is judged only if so many round trips took longer. */
const ENOUGH_BEYOND = 10

export interface Figure {
  readonly name: string
  /** null: not known of this run, or not well enough to be compared. */
  readonly of: (run: RunData) => number | null
  readonly text: (value: number) => string
  readonly better: 'more' | 'less'
}

/** The figures that any of the runs has. */
export function figuresOf(runs: readonly RunData[]): Figure[] {
  const places = new Set(runs.flatMap(({ totals }) => totals.filter(isWhole).map(({ index }) => index)))
  const each =
    places.size < 2
      ? []
      : [...places].sort((a, b) => a - b).flatMap((index) => [rate('tx', index), rate('rx', index)])
  const all: Figure[] = [
    rate('tx', null),
    rate('rx', null),
    ...each,
    LOSS,
    DROPS,
    ...PERCENTILES,
    ROUND_TRIPS_LOST,
  ]
  return all.filter(({ of }) => runs.some((run) => of(run) !== null))
}

export type Judgement = 'baseline' | 'same' | 'better' | 'worse' | null

/** What `value` is against `baseline`; null if one of them isn't known. `tolerance`: a share. */
export function judge(
  value: number | null,
  baseline: number | null,
  better: Figure['better'],
  tolerance: number,
): Judgement {
  if (value === null || baseline === null) return null
  const change = better === 'more' ? baseline - value : value - baseline
  const allowed = Math.abs(baseline) * tolerance
  return change > allowed ? 'worse' : change < -allowed ? 'better' : 'same'
}

export function comparison(runs: readonly RunData[], tolerance: number): Html {
  const [first] = runs
  const figures = figuresOf(runs)
  const judgementOf = ({ of, better }: Figure, run: RunData): Judgement =>
    run === first
      ? 'baseline'
      : what(run) === what(first)
        ? judge(of(run), of(first), better, tolerance)
        : null
  const rows = figures.map((figure) => [
    figure.name,
    ...runs.map((run) => cell(figure, figure.of(run), figure.of(first), judgementOf(figure, run))),
  ])
  const regressions = runs.flatMap((run) =>
    figures
      .filter((figure) => judgementOf(figure, run) === 'worse')
      .map(({ name }) => html`<li><strong>${run.name}</strong>: ${name}</li>`),
  )
  const failed = runs.filter(({ error }) => error !== null)
  const different = runs.filter((run) => what(run) !== what(first))
  return html`<section aria-labelledby="comparison">
    <h2 id="comparison">Comparison</h2>
    <p class="meta">Against ${first.name}. Marked is what is worse by more than ${share(tolerance)}.</p>
    ${different.length === 0 ? null : html`<p class="verdict warn">Not all of these are runs of the same: ${first.name} is ${what(first)}, ${different.map((run) => `${run.name} ${what(run)}`).join(', ')}. Those are not judged.</p>`}
    ${failed.map(({ name, error }) => html`<p class="verdict bad"><strong>${name} failed:</strong> ${error?.message ?? ''}</p>`)}
    ${
      regressions.length === 0
        ? html`<p class="verdict good">No regression.</p>`
        : html`<div class="verdict bad">
            <strong>Worse than ${first.name}:</strong>
            <ul>
              ${regressions}
            </ul>
          </div>`
    }
    ${table('Runs side by side', ['', ...runs.map(({ name, time }) => html`${name}<small>${moment(time)}</small>`)], rows)}
    <div class="charts">
      ${runs.some(({ series }) => series.length > 0) ? chart('compare', 'all', 'Packets per second, sent by all devices') : null}
      ${runs.filter(({ latency }) => (latency?.histogram?.length ?? 0) > 0).length > 1 ? chart('ccdf', 'all', 'Round trips that took longer') : null}
    </div>
  </section>`
}

function what({ command, totals, devices }: RunData): string {
  return `${command} on ${Math.max(devices.length, totals.filter(isWhole).length)} device(s)`
}

function cell(
  { text, better }: Figure,
  value: number | null,
  baseline: number | null,
  judgement: Judgement,
): Html | string {
  if (value === null) return '–'
  if (judgement === 'baseline' || judgement === null || baseline === null) return text(value)
  const change = baseline === 0 ? '' : ` ${signed(value / baseline - 1)}`
  const word = judgement === 'worse' ? ' ▼ worse' : judgement === 'better' ? ' ▲ better' : ''
  return html`<span class="${judgement} ${better}">${text(value)}<small>${change}${word}</small></span>`
}

function signed(ratio: number): string {
  const percent = (ratio * 100).toFixed(1)
  return `${ratio > 0 ? '+' : ''}${percent === '-0.0' ? '0.0' : percent} %`
}

const isWhole = ({ queue }: Total): boolean => queue === null

function rate(direction: 'rx' | 'tx', index: number | null): Figure {
  const verb = direction === 'tx' ? 'sent' : 'received'
  return {
    name: index === null ? `All devices, ${verb}` : `Device #${index}, ${verb}`,
    of: ({ totals }) => {
      const rates = totals
        .filter((total) => isWhole(total) && (index === null || total.index === index))
        .flatMap((total) => total[direction].packetsPerSecond ?? [])
      return rates.length === 0 ? null : sum(rates)
    },
    text: pps,
    better: 'more',
  }
}

const LOSS: Figure = {
  name: 'Lost or corrupted',
  of: ({ loss }) => (loss?.judged === true && loss.of > 0 ? loss.ratio : null),
  text: share,
  better: 'less',
}

/** What a filter has kept back was to be so. */
const DROPS: Figure = {
  name: 'Dropped by the devices, of all received',
  of: ({ totals }) => {
    const whole = totals.filter(isWhole)
    const dropped = sum(
      whole.flatMap((total) =>
        Object.entries(total.dropped).map(([cause, packets]) => (cause === 'filtered_out' ? 0 : packets)),
      ),
    )
    const all = sum(whole.map(({ rx }) => rx.packets)) + dropped
    return all > 0 ? dropped / all : null
  },
  text: share,
  better: 'less',
}

const PERCENTILES: readonly Figure[] = (
  [
    ['p50', 0.5],
    ['p90', 0.9],
    ['p99', 0.99],
    ['p999', 0.999],
    ['p9999', 0.9999],
  ] as const
).map(([key, quantile]) => ({
  name: `Round trip, ${key.replace(/^(p99)(9+)$/, '$1.$2')}`,
  of: ({ latency }) =>
    latency !== null && latency.count * (1 - quantile) >= ENOUGH_BEYOND ? latency[key] : null,
  text: duration,
  better: 'less',
}))

const ROUND_TRIPS_LOST: Figure = {
  name: 'Round trips lost',
  of: ({ latency }) => (latency !== null && latency.sent > 0 ? latency.lost / latency.sent : null),
  text: share,
  better: 'less',
}
