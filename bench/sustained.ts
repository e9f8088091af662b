/** The whole program between two virtual NICs for a minute: what it keeps up, and whether anything is lost. */
import { lineRate } from '../src/packet/rate.ts'
import { LINK_MBIT } from '../src/vnic/host.ts'
import { lostIn, missed } from './end-to-end.ts'
import { runTool } from './lib/tool.ts'

/** Both directions of 60-byte packets at the line rate of 10 Gbit/s: 29.76. */
const LINE_MPPS = (2 * lineRate(60, LINK_MBIT)) / 1e6

const CASES = {
  inspected: { gen: 'virtual:gen,rate=max', options: ['--inspect'], asked: LINE_MPPS },
  plain: { gen: 'virtual:gen,rate=max', options: [], asked: 40 },
  line: { gen: 'virtual:gen', options: ['--inspect'], asked: LINE_MPPS },
} as const
export type SustainedCase = keyof typeof CASES
export const SUSTAINED_CASES = Object.keys(CASES) as SustainedCase[]

export interface SustainedRun {
  readonly seconds: number
  /** Mpps, sum of both directions. */
  readonly mpps: number
  /** Of the second in which the fewest were forwarded, without the first. */
  readonly lowest: number
  /** Seconds, of all but the first, with fewer than asked for. */
  readonly below: number
  readonly asked: number
  readonly lost: number
  readonly missed: number
}

export async function sustained(name: SustainedCase, seconds: number): Promise<SustainedRun> {
  const { gen, options, asked } = CASES[name]
  console.log('\nForwarding 60-byte packets between virtual NICs for long\n')
  const run = await runTool(['forward', gen, gen, ...options, '-d', String(seconds)])
  const sums = run.intervals.slice(1).map((devices) => devices.reduce((sum, { tx }) => sum + tx.mpps, 0))
  const packets = run.devices.reduce((sum, { tx }) => sum + tx.packets, 0)
  const result = {
    seconds,
    mpps: packets / run.elapsed / 1e6,
    lowest: Math.min(...sums),
    below: sums.filter((mpps) => mpps < asked).length,
    asked,
    lost: lostIn(run),
    missed: missed(run.devices),
  }
  console.log(
    `  ${[gen, gen, ...options].join(' ')}: ${result.mpps.toFixed(2)} Mpps in ${seconds} s (asked: ${asked.toFixed(2)}, below it ${result.below} s, lowest ${result.lowest.toFixed(2)}); ${result.lost} lost, ${result.missed} missed`,
  )
  return result
}
