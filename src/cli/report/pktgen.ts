/** What a page tells of pktgen's findings: round trips, their order, streams, answers. */
import { grouped } from '../../wording.ts'
import { counterTable, duration, share } from './figures.ts'
import { type Html, html, table } from './html.ts'
import type { Jitter, Latency, Reordering, RunData, StreamCounts, WireLatency } from './model.ts'

type WireTimes = WireLatency['wireMicroseconds']

/** Nothing of a run of another app. */
export function pktgenSection({ latency, wire, jitter, reordering, streams, answered }: RunData): Html {
  return html`${latency === null ? null : latencyTables(latency)} ${wire === null ? null : wireTable(wire)}
  ${jitter === null ? null : jitterTable(jitter)} ${reordering === null ? null : orderTable(reordering)}
  ${streams === null ? null : streamTable(streams)}
  ${answered === null ? null : counterTable('Answered', answered)}`
}

function latencyTables(latency: Latency): Html {
  const { min, mean, p50, p90, p99, p999, p9999, p99999, max } = latency
  const times = {
    shortest: min,
    mean,
    p50,
    p90,
    p99,
    'p99.9': p999,
    'p99.99': p9999,
    'p99.999': p99999,
    longest: max,
  }
  const { sent, returned, lost, duplicated, damaged, late, foreign } = latency
  return html`${table('Round trips', Object.keys(times), [Object.values(times).map(duration)], 0)}
  ${counterTable('Probes', { sent, returned, lost, duplicated, damaged, late, foreign })}`
}

/** Sampled packets by the card's own clock, and the rest of their round trips. */
function wireTable(wire: WireLatency): Html {
  const { unavailable, sent, count, lost, unstamped, disbelieved, wireMicroseconds, programMicroseconds } =
    wire
  if (unavailable !== null) return html`<p class="none">On the wire: not measured, as ${unavailable}.</p>`
  const row = (name: string, { min, mean, p50, p90, p99, p999, p9999, max }: WireTimes): string[] => [
    name,
    ...[min, mean, p50, p90, p99, p999, p9999, max].map(duration),
  ]
  const head = ['', 'shortest', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'longest']
  const rows = [row('on the wire', wireMicroseconds), row('in the program', programMicroseconds)]
  return html`${table("Sampled packets, by the card's clock", head, rows)}
  ${counterTable('Sampled', { sent, measured: count, lost, unstamped, disbelieved })}`
}

function jitterTable({ mean, max, smoothed }: Jitter): Html | null {
  if (mean === null) return null
  const head = ['mean', 'longest', 'smoothed, at the end']
  return table(
    'Jitter, from one packet that comes in to the next',
    head,
    [[mean, max, smoothed].map(duration)],
    0,
  )
}

function orderTable({
  of,
  reordered,
  ratio,
  extentMean,
  extentMax,
  beyond,
  queues,
}: Reordering): Html | null {
  if (ratio === null) return null
  const least = beyond === 0 ? '' : 'at least '
  const extent = (value: number | null): string =>
    value === null ? '–' : `${least}${Number(value.toPrecision(4))}`
  const row = [grouped(reordered), grouped(of), share(ratio), extent(extentMean), extent(extentMax)]
  const among = html`<p class="none">Order is that among what one queue has sent and one has received.</p>`
  return html`${table('Reordered', ['Packets', 'Of', 'Share', 'Extent, mean', 'Extent, longest'], [row], 0)}
  ${queues === 1 ? null : among}`
}

function streamTable(streams: readonly StreamCounts[]): Html {
  const judged = streams.some(({ returned }) => returned !== null)
  const count = (value: number | null): string => (value === null ? '–' : grouped(value))
  return table(
    'Streams',
    ['Stream', 'Sent', ...(judged ? ['Returned', 'Lost'] : [])],
    streams.map(({ name, sent, returned, lost }) => [
      name,
      grouped(sent),
      ...(judged ? [count(returned), count(lost)] : []),
    ]),
  )
}
