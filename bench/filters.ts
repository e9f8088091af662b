/** Filters beside libpcap's interpreter. */
import { compileFilter } from '../src/linux/pcap-library.ts'
import type { FilterSpec } from './filter-contest.ts'
import type { Comparison } from './lib/measure.ts'
import { LIBRARY, inWorker, percent, row } from './lib/table.ts'

const OURS = 'ours'

export interface FilterContest {
  readonly expression: string
  readonly instructions: number
  /** The share of packets that match. */
  readonly matches: number
  readonly times: Comparison['times']
  readonly ratio: Comparison['ratios'][string]
}

const FILTERS = [
  'ip',
  'host 10.0.0.1',
  'udp port 1337',
  'tcp port 80 or tcp port 443',
  'tcp[tcpflags] & tcp-syn != 0',
  'not (src net 10.0.0.0/8 and dst net 10.0.0.0/8)',
  'ip and ip[2:2] / 4 > 20 and ip[8] < 64',
  'ip6 protochain 6',
]

/** Filters on packets of all kinds, see test/packet/traffic.ts. */
export async function filters(blocks: number): Promise<FilterContest[]> {
  console.log(
    '\nFilters: ns per packet, minimum (median); speed against libpcap, median (10th–90th percentile)\n',
  )
  const filterRow = (expression: string, cells: readonly string[]): void =>
    row([expression.padEnd(50), ...cells])
  filterRow('', ['libpcap, C', OURS, 'against libpcap'])
  const contests: FilterContest[] = []
  for (const expression of FILTERS) {
    const spec: FilterSpec = {
      program: compileFilter(expression),
      library: LIBRARY,
      effort: { blocks, roundsPerBlock: 100, warmUp: 20_000 },
    }
    const result = await inWorker<FilterContest>('filter-contest.cjs', spec)
    contests.push(result)
    const times = ['libpcap', OURS].map((name) => {
      const { min, median } = result.times[name]
      return `${min.toFixed(1)} (${median.toFixed(1)})`
    })
    const { median, low, high } = result.ratio
    filterRow(expression, [
      ...times,
      `${percent(median)} (${Math.round(low * 100)}–${Math.round(high * 100)})`,
    ])
  }
  return contests
}
