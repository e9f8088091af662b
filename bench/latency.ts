/**
 * Latency from wire to wire: how long a packet is inside the host, with our forwarder and with one in C on the same virtual
 * NICs, in alternation. What both show is the machine, and the NICs, which share its cores.
 */
import { fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FromNics } from './latency-nics.ts'
import { ccdf } from './lib/ccdf-svg.ts'
import { LogHistogram } from '../src/apps/pktgen/log-histogram.ts'
import { runTool } from './lib/tool.ts'

/** Set by run.mjs. */
const { BENCH_BUILD = '' } = process.env

const LOADS = [0.1, 0.5, 0.9]
const FORWARDERS = ['C', 'ours'] as const
type Forwarder = (typeof FORWARDERS)[number]
const QUANTILES = [0.5, 0.99, 0.999, 0.9999, 0.999999, 1]
const NAMES = ['p50', 'p99', 'p99.9', 'p99.99', 'p99.9999', 'max']
/** Milliseconds of traffic before it counts. */
const WARM_UP = 1000

interface Trial {
  readonly histogram: LogHistogram
  readonly missed: number
  readonly pollMicroseconds: number
}

export interface LatencyResult {
  readonly forwarder: Forwarder
  /** Share of the sustained rate. */
  readonly load: number
  /** Offered in each direction. */
  readonly mpps: number
  readonly packets: number
  readonly missed: number
  /** Of the NICs: the resolution of the times. */
  readonly pollMicroseconds: number
  /** Of all packets of all rounds, microseconds, by names as in p99.99. */
  readonly microseconds: Readonly<Record<string, number>>
  /** p99.99 of each round. */
  readonly p9999OfRounds: readonly number[]
}

async function trial(forwarder: Forwarder, mpps: number, seconds: number): Promise<Trial> {
  const folder = mkdtempSync(join(tmpdir(), 'ixy-ts-bench-'))
  const sockets = ['a', 'b'].map((name) => join(folder, name))
  const times = [mpps * 1e6, WARM_UP, seconds * 1000].map(String)
  const nics = fork(join(BENCH_BUILD, 'latency-nics.cjs'), [...sockets, ...times])
  const gone = new Promise<never>((_, reject) => {
    nics.once('error', reject)
    nics.once('exit', (code) => reject(new Error(`the virtual NICs have ended with exit code ${code}`)))
  })
  gone.catch(() => undefined)
  const answer = (): Promise<FromNics> =>
    Promise.race([new Promise<FromNics>((resolve) => nics.once('message', resolve)), gone])
  try {
    await answer()
    const report = answer()
    const devices = sockets.map((socket) => `vfio-user:${socket}`)
    // A second for whatever comes before the first packet counts, and one for the NICs to report.
    const duration = WARM_UP / 1000 + seconds + 1
    const forwarding = forwarder === 'C' ? runC(devices, duration) : runOurs(devices, duration)
    const [measured] = await Promise.all([report, forwarding])
    if (typeof measured === 'string') throw new Error('the virtual NICs have measured nothing')
    const { counts, missed, pollMicroseconds } = measured
    return { histogram: new LogHistogram(Float64Array.from(counts)), missed, pollMicroseconds }
  } finally {
    nics.disconnect()
    await gone.catch(() => undefined)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runOurs(devices: readonly string[], seconds: number): Promise<void> {
  await runTool(['forward', ...devices, '--touch', '--quiet', '-d', String(seconds)])
}

function runC(devices: readonly string[], seconds: number): Promise<void> {
  const files = ['latency-c.cjs', 'latency-c-worker.cjs', 'native.so'].map((name) => join(BENCH_BUILD, name))
  const child = spawn(process.execPath, [...files, ...devices, String(seconds)], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`the C forwarder has ended with exit code ${code}`))
    })
  })
}

function summary(forwarder: Forwarder, load: number, mpps: number, trials: readonly Trial[]): LatencyResult {
  const all = sum(trials)
  const microseconds = QUANTILES.map((share, i) => [NAMES[i], all.quantile(share) / 1000])
  return {
    forwarder,
    load,
    mpps,
    packets: all.total,
    missed: trials.reduce((count, { missed }) => count + missed, 0),
    pollMicroseconds: trials.reduce((time, one) => time + one.pollMicroseconds, 0) / trials.length,
    microseconds: Object.fromEntries(microseconds) as Record<string, number>,
    p9999OfRounds: trials.map(({ histogram }) => histogram.quantile(0.9999) / 1000),
  }
}

function sum(trials: readonly Trial[]): LogHistogram {
  const all = new LogHistogram()
  for (const { histogram } of trials) all.add(histogram)
  return all
}

/** `sustained`: Mpps in each direction. `picture`: where to draw, null: nowhere. */
export async function latency(
  quick: boolean,
  sustained: number,
  picture: string | null,
): Promise<LatencyResult[]> {
  const rounds = quick ? 1 : 3
  const seconds = quick ? 2 : 4
  console.log('\nLatency from wire to wire between virtual NICs, 60 bytes, both directions, microseconds\n')
  const columns = [...NAMES, 'packets', 'missed', 'NIC poll']
  console.log(' '.repeat(28) + columns.map((name) => name.padStart(10)).join(''))
  const results: LatencyResult[] = []
  const curves: Parameters<typeof ccdf>[1][number][] = []
  for (const load of LOADS) {
    const mpps = load * sustained
    const trials: Record<Forwarder, Trial[]> = { C: [], ours: [] }
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? FORWARDERS : [...FORWARDERS].reverse()
      for (const forwarder of order) trials[forwarder].push(await trial(forwarder, mpps, seconds))
    }
    for (const [i, forwarder] of FORWARDERS.entries()) {
      const result = summary(forwarder, load, mpps, trials[forwarder])
      results.push(result)
      const label = `${forwarder === 'C' ? 'C' : 'ixy-ts'} at ${Math.round(load * 100)} %`
      curves.push({
        label,
        colour: COLOURS[LOADS.indexOf(load)],
        dashed: i === 0,
        points: sum(trials[forwarder]).exceedance(),
      })
      const cells = [
        ...NAMES.map((name) => result.microseconds[name].toFixed(1)),
        `${(result.packets / 1e6).toFixed(2)}M`,
        String(result.missed),
        result.pollMicroseconds.toFixed(1),
      ]
      console.log(
        `  ${`${label} (2 × ${mpps.toFixed(2)} Mpps)`.padEnd(26)}${cells.map((cell) => cell.padStart(10)).join('')}`,
      )
    }
    const [c, ours] = FORWARDERS.map((_, i) => results[results.length - 2 + i].p9999OfRounds)
    const ratios = ours.map((time, round) => time / c[round]).sort((x, y) => x - y)
    console.log(`    p99.99, ours / C, by round: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}`)
  }
  if (picture !== null) {
    const title = `Time inside the host, Node.js ${process.versions.node}, 100 % = 2 × ${sustained.toFixed(2)} Mpps`
    writeFileSync(picture, ccdf(title, curves))
    console.log(`\n  drawn into ${picture}`)
  }
  return results
}

const COLOURS = ['#0072b2', '#009e73', '#d55e00']
