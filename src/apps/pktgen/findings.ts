/** Round-trip times, for people and for scripts. */
import { counted, countersText } from '../../wording.ts'
import type { Findings } from '../command.ts'
import type { Latency } from './latency.ts'

const NONE: Findings = { json: {}, text: null, warnings: [], loss: null }

/** `latency`: null if it wasn't measured. */
export function findingsOf(latency: Latency | null): Findings {
  if (latency === null) return NONE
  const { sent, returned, duplicated, damaged, foreign, late, lost } = latency
  return {
    json: { latencyMicroseconds: latency },
    text: {
      title: 'round trip',
      first: ` of ${counted(sent, 'packet')}: ${countersText({ returned, lost, duplicated, damaged, foreign, late })}`,
      lines: timesOf(latency),
    },
    warnings: returned === 0 ? ['no packet came back whose round trip could be measured (--latency)'] : [],
    // What was sent and has not come back intact is lost, wherever it ended.
    loss: { lost, of: sent },
  }
}

function timesOf({ min, p50, p99, p999, p9999, p99999, max }: Latency): string[] {
  const parts = { min, p50, p99, 'p99.9': p999, 'p99.99': p9999, 'p99.999': p99999, max }
  const texts = Object.entries(parts).flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${value.toFixed(1)} µs`],
  )
  return texts.length > 0 ? [texts.join(', ')] : []
}
