/** The whole program beside others that want the CPUs as well: loops of the same priority that do nothing else. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { missed } from './end-to-end.ts'
import { row } from './lib/table.ts'
import { runTool } from './lib/tool.ts'

const LOOPS = [0, 1, 2, 4]
/** Of the program: the worker and the virtual NICs. */
const THREADS = 2
const ONE_CPU = ['taskset', '-c', '0']
const WORK = ['forward', 'virtual:gen,rate=max', 'virtual:gen,rate=max']
const SLOW_WORK = ['forward', 'virtual:gen,rate=100kpps', 'virtual:gen,rate=100kpps']
/** Milliseconds that a loop may live beyond the time it is wanted for, should nobody end it. */
const GRACE = 15_000

interface Run {
  /** Sum of both directions. */
  readonly mpps: number
  /** CPU time that the two busiest threads got, of one CPU's. */
  readonly cpu: number
  readonly missed: number
}

export interface Contention {
  readonly loops: number
  /** CPUs that the program may use; the loops may use all. */
  readonly cpus: number
  readonly seconds: number
  readonly runs: readonly Run[]
  /** Mpps, median and best. */
  readonly median: number
  readonly best: number
  /** CPUs that two threads would have if all had the same. */
  readonly fairCpu: number
  /** Mpps: that share of what the program does by itself. */
  readonly fair: number
}

export interface SlowContention {
  readonly loops: number
  readonly offeredMpps: number
  readonly seconds: number
  readonly packets: number
  readonly missed: number
}

/** Nanoseconds that each thread of these processes has run. */
function running(pids: readonly number[]): Map<string, number> {
  const times = new Map<string, number>()
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [time] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
      times.set(thread, Number(time))
    }
  }
  return times
}

async function beside<Result>(loops: number, seconds: number, work: () => Promise<Result>): Promise<Result> {
  const code = `const end = Date.now() + ${seconds * 1000 + GRACE}; while (Date.now() < end);`
  const children: ChildProcess[] = []
  try {
    for (let i = 0; i < loops; i++) children.push(spawn(process.execPath, ['-e', code], { stdio: 'ignore' }))
    return await work()
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

async function once(loops: number, under: readonly string[], seconds: number): Promise<Run> {
  const looks: { at: number; times: Map<string, number> }[] = []
  const look = (pids: readonly number[]): void => {
    looks.push({ at: performance.now(), times: running(pids) })
  }
  const args = [...WORK, '-d', String(seconds)]
  const { devices } = await beside(loops, seconds, () => runTool(args, [], { under, look }))
  const [first, last] = [looks[0], looks[looks.length - 1]]
  const shares = [...last.times]
    .map(([thread, time]) => (time - (first.times.get(thread) ?? 0)) / 1e6 / (last.at - first.at))
    .sort((a, b) => b - a)
  const mpps = devices.reduce((sum, { tx }) => sum + tx.mpps, 0)
  return {
    mpps,
    cpu: shares.slice(0, THREADS).reduce((sum, share) => sum + share, 0),
    missed: missed(devices),
  }
}

/** How many packets are lost at a rate that is nothing for the program by itself. */
async function slow(loops: number, seconds: number): Promise<SlowContention> {
  const run = await beside(loops, seconds, () => runTool([...SLOW_WORK, '-d', String(seconds)]))
  const packets = run.devices.reduce((sum, { rx }) => sum + rx.packets, 0)
  return { loops, offeredMpps: 0.2, seconds, packets, missed: missed(run.devices) }
}

/** All cases take turns: a machine is not the same from minute to minute. */
export async function contention(
  quick: boolean,
): Promise<{ flatOut: readonly Contention[]; slow: SlowContention }> {
  const cpus = availableParallelism()
  const seconds = quick ? 2 : 4
  const cases = [
    ...LOOPS.map((loops) => ({ loops, cpus, under: [] as readonly string[], runs: [] as Run[] })),
    { loops: 0, cpus: 1, under: ONE_CPU, runs: [] },
  ]
  for (let round = 0; round < (quick ? 3 : 5); round++)
    for (const { loops, under, runs } of cases) runs.push(await once(loops, under, seconds))
  const medianOf = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[values.length >> 1]
  const quiet = medianOf(cases[0].runs.map(({ mpps }) => mpps))

  console.log(
    '\nBeside busy loops of the same priority: forward between virtual NICs, 60 bytes; Mpps, sum of both directions',
  )
  console.log(
    "Fair: as much of the rate by itself as two of all threads have of the CPUs' time if all have the same\n",
  )
  row(['', 'median (best)', 'fair', 'of fair', 'CPU (fair)'])
  const flatOut = cases.map(({ loops, cpus: own, runs }): Contention => {
    const rates = runs.map(({ mpps }) => mpps)
    const fairCpu = Math.min(THREADS, (THREADS * own) / (THREADS + loops))
    return {
      ...{ loops, cpus: own, seconds, runs, median: medianOf(rates), best: Math.max(...rates) },
      ...{ fairCpu, fair: (quiet * fairCpu) / Math.min(THREADS, cpus) },
    }
  })
  for (const { loops, cpus: own, runs, median, best, fair, fairCpu } of flatOut) {
    row([
      own < cpus ? 'on one CPU' : `${loops} loops`,
      `${median.toFixed(1)} (${best.toFixed(1)})`,
      fair.toFixed(1),
      `${Math.round((median / fair) * 100)} %`,
      `${medianOf(runs.map(({ cpu }) => cpu)).toFixed(2)} (${fairCpu.toFixed(2)})`,
    ])
  }
  const loops = LOOPS[LOOPS.length - 1]
  const result = await slow(loops, seconds)
  console.log(
    `  ${loops} loops, 100 kpps in each direction: ${result.missed} of ${result.packets + result.missed} missed`,
  )
  return { flatOut, slow: result }
}
