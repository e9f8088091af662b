/** What a packet costs the drivers alone beside C, in tables; contest.ts measures. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { ContestSpec } from './contest.ts'
import type { Backend } from '../src/engine/types.ts'
import type { Comparison } from './lib/measure.ts'
import type { Work } from './lib/share.ts'
import { LIBRARY, inWorker, percent, row } from './lib/table.ts'

/** Set by run.mjs. */
const { BENCH_BUILD = '' } = process.env

/** What steady.ts prints when it is warm, and at the end. */
const MARK = '=== steady ==='

const IXY = 'C, ixy layout'
const OWN = 'C, own layout'
const OURS = 'ours'
const BACKENDS = ['ts', 'wasm'] as const
/** Rings with offloads are in TypeScript only. */
const WITH_OFFLOADS = ['offloads', 'open'] as const
type Driver = ContestSpec['driver']
/** Rows of the drivers' tables that are measured, by a part of their names. */
const ROW = process.argv.find((argument) => argument.startsWith('--row='))?.slice('--row='.length) ?? ''

const CONTESTS: Readonly<Record<Driver, readonly { work: Work; batches: readonly number[] }[]>> = {
  ixgbe: [
    { work: 'forward', batches: [1, 8, 32, 64, 256] },
    { work: 'receive', batches: [32] },
    { work: 'generate', batches: [32] },
  ],
  virtio: [
    { work: 'forward', batches: [1, 32, 256] },
    { work: 'receive', batches: [32] },
    { work: 'generate', batches: [32] },
  ],
}

type Contest = Comparison & Omit<ContestSpec, 'library' | 'effort'> & { hugepages: boolean }

function contest(chosen: Omit<ContestSpec, 'library' | 'effort'>, blocks: number): Promise<Contest> {
  const spec: ContestSpec = {
    ...chosen,
    library: LIBRARY,
    effort: { blocks, roundsPerBlock: 200, warmUp: 3000 },
  }
  return inWorker('contest.cjs', spec)
}

export async function driverShare(driver: Driver, blocks: number): Promise<Contest[]> {
  console.log(
    `\nThe ${driver} driver alone: ns per packet, minimum (median); speed against C, median (10th–90th percentile)\n`,
  )
  const peers = driver === 'ixgbe' ? [IXY, OWN] : [OWN]
  row(['', ...peers, OURS, ...peers.map((name) => `against ${name.slice(3, 6)}`)])
  const contests: Contest[] = []
  for (const { work, batches } of CONTESTS[driver]) {
    for (const batchSize of batches) {
      const offloads = driver === 'ixgbe' && work === 'forward' && batchSize === 32 ? WITH_OFFLOADS : []
      for (const backend of [...BACKENDS, ...offloads]) {
        if (!`${work} ${batchSize} ${backend}`.includes(ROW)) continue
        const result = await contest({ driver, work, backend, batchSize }, blocks)
        contests.push(result)
        const times = [...peers, OURS].map((name) => {
          const { min, median } = result.times[name]
          return `${min.toFixed(1)} (${median.toFixed(1)})`
        })
        const ratios = peers.map((name) => {
          const { median, low, high } = result.ratios[name]
          return `${percent(median)} (${Math.round(low * 100)}–${Math.round(high * 100)})`
        })
        row([`${work} ${batchSize} ${backend}`, ...times, ...ratios])
      }
    }
  }
  return contests
}

interface Steady {
  readonly work: Work
  readonly backend: Backend
  readonly seconds: number
  readonly collections: number
  readonly deoptimisations: number
}

/** What V8 does besides running the loop, once it is warm. */
function steady(work: Work, backend: Backend, seconds: number): Steady {
  const args = [...process.execArgv, '--trace-gc', '--trace-deopt', join(BENCH_BUILD, 'steady.cjs'), LIBRARY]
  const output = execFileSync(process.execPath, [...args, work, backend, '2', String(seconds)], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  const [, inside] = output.split(MARK)
  if (inside === undefined) throw new Error('the steady run left no marks')
  const lines = inside.split('\n')
  return {
    work,
    backend,
    seconds,
    collections: lines.filter((line) => /Scavenge|Mark-Compact|Minor/.test(line)).length,
    deoptimisations: lines.filter((line) => line.includes('bailout')).length,
  }
}

export async function driver(quick: boolean): Promise<{ driverShare: Contest[]; steady: Steady[] }> {
  const blocks = quick ? 15 : 60
  const contests = await driverShare('ixgbe', blocks)
  if (!contests[0].hugepages) console.log('\nno huge pages: run ./setup-hugetlbfs.sh for better figures')

  const steadies = (['forward', 'generate'] as const).flatMap((work) =>
    BACKENDS.map((backend) => steady(work, backend, quick ? 3 : 15)),
  )
  console.log('\nSteady state')
  for (const { work, backend, seconds, collections, deoptimisations } of steadies) {
    console.log(
      `  ${work}, ${backend}, ${seconds} s: ${collections} garbage collections, ${deoptimisations} deoptimisations`,
    )
  }
  return { driverShare: contests, steady: steadies }
}

/** An app's step in either language. */
export async function ownStep(blocks: number): Promise<object> {
  console.log('\nA step of an app, docs/examples/hop.ts: ns per packet, minimum (median)\n')
  const sizes = [1, 8, 32, 256]
  const results: Record<number, Comparison> = {}
  for (const batchSize of sizes) {
    const effort = { blocks, roundsPerBlock: 50, warmUp: 1000 }
    const { times, ratios } = await inWorker<Comparison>('step-contest.cjs', { batchSize, effort })
    results[batchSize] = { times, ratios }
    const names = Object.keys(times)
    if (batchSize === sizes[0]) row(['', ...names.map((name) => name.replace('WebAssembly', 'wasm'))])
    row([
      `batch ${batchSize}`,
      ...names.map((name) => `${times[name].min.toFixed(1)} (${times[name].median.toFixed(1)})`),
    ])
  }
  return results
}
