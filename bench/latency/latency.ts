/**
 * Latency from wire to wire: how long a packet is inside the host, with our forwarder and with one in C on the same virtual
 * NICs, in alternation. What both show is the machine, and the NICs, which share its cores.
 */
import { fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FromNics } from './nics.ts'
import { LogHistogram } from '../../src/apps/pktgen/log-histogram.ts'
import { LatencySums, type Forwarder, type LatencyResult, type Trial } from './sums.ts'
import { Others } from '../lib/others.ts'
import { startTool } from '../lib/tool.ts'
import { watchWorker } from '../lib/v8-log.ts'

/** Set by run.mjs. */
const { BENCH_BUILD = '' } = process.env

const FORWARDERS: readonly Forwarder[] = ['C', 'ours']
/** Milliseconds of traffic before it counts. */
const WARM_UP = 1000

export interface LatencyPlan {
  /** Mpps in each direction: what loads are shares of. */
  readonly sustained: number
  /** Shares of that. */
  readonly loads: readonly number[]
  /** Of one trial. */
  readonly seconds: number
  /** Trials of each forwarder at each load. */
  readonly rounds: number
  /** A file that keeps what was measured, so that the next run adds to it; null: nothing is kept. */
  readonly into: string | null
  /** Where to draw, null: nowhere. */
  readonly picture: string | null
}

async function trial(forwarder: Forwarder, mpps: number, seconds: number): Promise<Trial> {
  const folder = mkdtempSync(join(tmpdir(), 'ixy-ts-bench-'))
  const sockets = ['a', 'b'].map((name) => join(folder, name))
  const times = [mpps * 1e6, WARM_UP, seconds * 1000].map(String)
  const others = new Others()
  const nics = fork(join(BENCH_BUILD, 'latency/nics.cjs'), [...sockets, ...times])
  const known = [process.pid, nics.pid ?? 0]
  const gone = new Promise<never>((_, reject) => {
    nics.once('error', reject)
    nics.once('exit', (code) => reject(new Error(`the virtual NICs have ended with exit code ${code}`)))
  })
  gone.catch(() => undefined)
  const answer = (): Promise<FromNics> =>
    Promise.race([new Promise<FromNics>((resolve) => nics.once('message', resolve)), gone])
  const onProcess = (pid: number): void => {
    known.push(pid)
    nics.send(pid)
  }
  try {
    await answer()
    const report = answer().then((measured) => ({ measured, others: others.since(known) }))
    const devices = sockets.map((socket) => `vfio-user:${socket}`)
    // A second for whatever comes before the first packet counts, and one for the NICs to report.
    const duration = WARM_UP / 1000 + seconds + 1
    const forwarding =
      forwarder === 'C' ? runC(devices, duration, onProcess) : runOurs(devices, duration, onProcess)
    const [{ measured, others: ran }, watched] = await Promise.all([report, forwarding])
    if (typeof measured === 'string') throw new Error('the virtual NICs have measured nothing')
    const { counts, ...rest } = measured
    return {
      seconds,
      histogram: new LogHistogram(Float64Array.from(counts)),
      ...rest,
      others: ran,
      ...watched,
    }
  } finally {
    nics.disconnect()
    await gone.catch(() => undefined)
    rmSync(folder, { recursive: true, force: true })
  }
}

type Worker = Pick<Trial, 'collections' | 'deoptimisations'>

async function runOurs(
  devices: readonly string[],
  seconds: number,
  onProcess: (pid: number) => void,
): Promise<Worker> {
  const args = ['forward', ...devices, '--touch', '--quiet', '-d', String(seconds)]
  // The worker is older than its first packet, so by the second of these it has begun to count.
  const watched = await watchWorker((2 * WARM_UP) / 1000, seconds, (flags) => {
    const { pid, result } = startTool(args, flags)
    onProcess(pid)
    return result
  })
  return { collections: watched.collections, deoptimisations: watched.deoptimisations }
}

function runC(
  devices: readonly string[],
  seconds: number,
  onProcess: (pid: number) => void,
): Promise<Worker> {
  const files = ['latency/c.cjs', 'latency/c-worker.cjs', 'native.so'].map((name) => join(BENCH_BUILD, name))
  const child = spawn(process.execPath, [...files, ...devices, String(seconds)], { stdio: 'inherit' })
  if (child.pid !== undefined) onProcess(child.pid)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve({ collections: 0, deoptimisations: [] })
      else reject(new Error(`the C forwarder has ended with exit code ${code}`))
    })
  })
}

export async function latency(plan: LatencyPlan): Promise<LatencyResult[]> {
  const { sustained, loads, seconds, rounds, into, picture } = plan
  const sums = new LatencySums(sustained, into)
  for (const load of loads) {
    for (let round = 0; round < rounds; round++) {
      // Who was last the time before begins.
      const order = sums.trialsOf(load) % 4 === 0 ? FORWARDERS : [...FORWARDERS].reverse()
      for (const forwarder of order)
        sums.add(forwarder, load, await trial(forwarder, load * sustained, seconds))
    }
  }
  sums.print()
  if (picture !== null) sums.draw(picture)
  return sums.results()
}
