/** Into a tunnel and out of it beside C, in a table; tunnel-contest.ts measures. */
import type { Comparison } from './lib/measure.ts'
import { LIBRARY, inWorker, percent, row } from './lib/table.ts'
import type { TunnelContestSpec } from './tunnel-contest.ts'
import type { TunnelWork } from './tunnel-share.ts'

export async function tunnelShare(quick: boolean): Promise<object> {
  console.log('\nInto a tunnel and out of it: ns per packet, minimum (median); speed against C, median\n')
  row(['', 'C', 'ts', 'wasm', 'ts against C', 'wasm against C'])
  const contests: (Comparison & TunnelWork)[] = []
  const kinds = [
    ['vxlan', false, null],
    ['vxlan', true, null],
    ['vxlan', false, 10],
    ['geneve', false, null],
    ['fou', false, null],
    ['fou', false, 10],
  ] as const
  for (const [encap, checksum, vlan] of kinds) {
    for (const size of [60, 590, 1450]) {
      for (const way of ['enter', 'leave'] as const) {
        const effort = { blocks: quick ? 10 : 40, roundsPerBlock: 100, warmUp: 1500 }
        const workerData: TunnelContestSpec = {
          library: LIBRARY,
          work: { encap, way, size, checksum, vlan },
          effort,
        }
        const result = await inWorker<Comparison & TunnelWork>('tunnel-contest.cjs', workerData)
        contests.push(result)
        const times = ['C', 'ts', 'wasm'].map((name) => {
          const { min, median } = result.times[name]
          return `${min.toFixed(1)} (${median.toFixed(1)})`
        })
        const slower = result.times['C'].median / result.times['ts'].median
        row([
          `${encap} ${way} ${size}${checksum ? ' sum' : ''}${vlan === null ? '' : ' VLAN'}`,
          ...times,
          percent(slower),
          percent(result.ratios['C'].median),
        ])
      }
    }
  }
  return { tunnelShare: contests }
}
