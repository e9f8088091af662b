/** What a run has found out, for people and for scripts. */
import { counted, countersText, grouped } from '../../wording.ts'
import type { Findings } from '../command.ts'
import type { Jitter, Latency, Reordering } from './latency.ts'
import type { PktgenResult, StreamResult } from './result.ts'
import type { SampledTimes, WireLatency } from './wire-times.ts'

const NONE: Findings = { json: {}, text: null, warnings: [], loss: null }

/** `result`: null if the run has not come to one. */
export function findingsOf(result: PktgenResult | null): Findings {
  if (result === null) return NONE
  const { probes, streams, answered } = result
  const answers = answered === null ? [] : [`answered: ${countersText({ ...answered })}`]
  const lines = [...(streams ?? []).map(streamLine), ...answers]
  const json = {
    ...(probes === null
      ? {}
      : {
          latencyMicroseconds: probes.latency,
          jitterMicroseconds: probes.jitter,
          reordering: probes.reordering,
          wireLatency: probes.wire,
        }),
    ...(streams === null ? {} : { streams }),
    ...(answered === null ? {} : { answered }),
  }
  if (probes === null) {
    const text = lines.length === 0 ? null : { title: 'pktgen', first: '', lines }
    return { ...NONE, json, text }
  }
  const { sent, returned, duplicated, damaged, foreign, late, lost } = probes.latency
  return {
    json,
    text: {
      title: 'round trip',
      first: ` of ${counted(sent, 'packet')}: ${countersText({ returned, lost, duplicated, damaged, foreign, late })}`,
      lines: [
        ...timesOf(probes.latency),
        ...wireLines(probes.wire),
        ...jitterLine(probes.jitter),
        ...orderLine(probes.reordering),
        ...lines,
      ],
    },
    warnings: returned === 0 ? ['no packet came back whose round trip could be measured (--latency)'] : [],
    // What was sent and has not come back intact is lost, wherever it ended.
    loss: { lost, of: sent },
  }
}

function wireLines(wire: WireLatency): string[] {
  const { unavailable, sent, count, lost, unstamped, disbelieved, wireMicroseconds, programMicroseconds } =
    wire
  if (unavailable !== null) return [`on the wire: not measured, as ${unavailable}`]
  const others = Object.entries({ lost, unstamped, disbelieved }).filter(([, packets]) => packets > 0)
  const rest = others.length === 0 ? '' : ` (${countersText(Object.fromEntries(others))})`
  const [onWire = '–'] = timesOf(wireMicroseconds)
  const [own = '–'] = timesOf(programMicroseconds)
  return [
    `on the wire, by the card's clock, ${grouped(count)} of ${counted(sent, 'sampled packet')}${rest}: ${onWire}`,
    `the program's share of the same: ${own}`,
  ]
}

function timesOf(times: SampledTimes & Partial<Pick<Latency, 'p99999'>>): string[] {
  const { min, p50, p99, p999, p9999, p99999 = null, max } = times
  const parts = { min, p50, p99, 'p99.9': p999, 'p99.99': p9999, 'p99.999': p99999, max }
  const texts = Object.entries(parts).flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${value.toFixed(1)} µs`],
  )
  return texts.length > 0 ? [texts.join(', ')] : []
}

function jitterLine({ mean, max, smoothed }: Jitter): string[] {
  if (mean === null || max === null) return []
  const last = smoothed === null ? '' : `, smoothed at the end ${smoothed.toFixed(1)} µs`
  return [`jitter: mean ${mean.toFixed(1)} µs, max ${max.toFixed(1)} µs${last}`]
}

function orderLine({ of, reordered, ratio, extentMean, extentMax, beyond, queues }: Reordering): string[] {
  if (ratio === null) return []
  const share = reordered === 0 ? '' : ` (${Number((ratio * 100).toPrecision(3))}%)`
  const least = beyond === 0 ? '' : ' at least'
  const extent =
    extentMean === null || extentMax === null
      ? ''
      : `, extent${least} mean ${extentMean.toFixed(1)}, max ${grouped(extentMax)}`
  const among = queues === 1 ? '' : '; order among what one queue has sent and one received'
  return [`reordered ${grouped(reordered)} of ${grouped(of)}${share}${extent}${among}`]
}

function streamLine({ name, sent, returned, lost }: StreamResult): string {
  const counters = returned === null || lost === null ? { sent } : { sent, returned, lost }
  return `${name}: ${countersText(counters)}`
}
