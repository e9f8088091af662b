/** Runs the benchmark's parts, prints a table, writes the figures to bench/results. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { contention } from './contention.ts'
import type { ContestSpec } from './contest.ts'
import { captures } from './capture.ts'
import { filters } from './filters.ts'
import type { Backend } from '../src/engine/types.ts'
import type { Comparison } from './lib/measure.ts'
import type { Work } from './lib/share.ts'
import { LIBRARY, inWorker, percent, row } from './lib/table.ts'
import { hostInterface, printHostInterface } from './host-interface.ts'
import { latency } from './latency/latency.ts'
import { peers as otherTools } from './peers/peers.ts'
import { LOADS, program } from './program.ts'
import { SWEEPS } from './scale/sweeps.ts'
import { type Measurements, drawSweeps } from './scale/pictures.ts'
import type { TunnelContestSpec } from './tunnel-contest.ts'
import { sustained, SUSTAINED_CASES } from './sustained.ts'
import { printPeers, tunnelPeers } from './tunnel-peers.ts'
import type { TunnelWork } from './tunnel-share.ts'

/** Set by run.mjs. */
const {
  BENCH_BUILD = '',
  BENCH_RESULTS = '',
  BENCH_COMPILER = '',
  BENCH_PICTURE = '',
  BENCH_DOCS = '',
} = process.env

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

async function driverShare(driver: Driver, blocks: number): Promise<Contest[]> {
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

async function driver(quick: boolean): Promise<{ driverShare: Contest[]; steady: Steady[] }> {
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
async function ownStep(blocks: number): Promise<object> {
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

async function tunnelShare(quick: boolean): Promise<object> {
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

async function peers(quick: boolean): Promise<object> {
  const result = await tunnelPeers(quick ? 10 : 100)
  printPeers(result)
  return { tunnelPeers: result }
}

async function hosts(quick: boolean): Promise<object> {
  const result = await hostInterface(quick ? 3 : 15)
  printHostInterface(result)
  return { hostInterface: result }
}

function peerParts(quick: boolean): Record<string, () => Promise<object>> {
  const [rounds, seconds] = quick ? [1, 1] : [3, 2]
  return {
    'peers-forward': async () => ({ peersForwarding: await otherTools('forward', rounds, seconds) }),
    'peers-send': async () => ({ peersSending: await otherTools('send', rounds, seconds) }),
  }
}

function sustainedParts(quick: boolean): Record<string, () => Promise<object>> {
  const part = (name: string): string => `sustained-${name}`
  return Object.fromEntries(
    SUSTAINED_CASES.map((name) => [
      part(name),
      async () => ({ [part(name)]: await sustained(name, quick ? 10 : 60) }),
    ]),
  )
}

/** A file in bench/results. */
interface Results {
  /** Under what conditions each part was measured. */
  runs?: Record<string, { loadBefore: number; quick: boolean }>
  /** By sweep, see scale.ts. */
  scale?: Measurements
}

/** The sweeps of scale.ts, a part each. */
function scaleParts(quick: boolean): Record<string, () => Promise<Results>> {
  const seconds = Number(given('seconds') ?? (quick ? 10 : 600))
  return Object.fromEntries(
    Object.entries(SWEEPS).map(([name, sweep]) => [
      `scale-${name}`,
      async () => ({ scale: { [name]: await sweep({ quick, seconds }) } }),
    ]),
  )
}

/** Draws what the file of this day has of them into docs/. */
async function drawScale(file: string): Promise<Results> {
  drawSweeps(read(file).scale ?? {}, BENCH_DOCS)
  return {}
}

function read(file: string): Results {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : {}
}

/** `--<option>=<value>` */
function given(option: string): string | undefined {
  return process.argv.find((argument) => argument.startsWith(`--${option}=`))?.slice(option.length + 3)
}

/** `--sustained=<Mpps>`, and how long: `--loads=10,50,90 --seconds=30 --rounds=10`; `--into=<file>` adds to what is in there. */
function longLatency(picture: string | null): Promise<object> {
  const sustained = Number(given('sustained') ?? NaN)
  if (!(sustained > 0))
    throw new Error('--sustained=<Mpps in each direction> is wanted: --only=program finds it')
  return latency({
    ...{ sustained, picture, into: given('into') ?? null },
    loads:
      given('loads')
        ?.split(',')
        .map((percent) => Number(percent) / 100) ?? LOADS,
    ...{ seconds: Number(given('seconds') ?? 30), rounds: Number(given('rounds') ?? 10) },
  })
}

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick')
  const picture = process.argv.includes('--picture') ? BENCH_PICTURE : null
  const only = given('only')
  const machine = {
    cpu: cpus()[0].model,
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    arch: process.arch,
    compiler: BENCH_COMPILER,
    node: process.version,
    v8: process.versions.v8,
  }
  console.log(`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}`)
  console.log(
    `Node.js ${machine.node} (V8 ${machine.v8}), ${machine.compiler}, load average ${loadavg()[0].toFixed(1)}`,
  )
  const date = new Date().toISOString().slice(0, 10)
  const file = join(BENCH_RESULTS, `${date}-node${process.versions.node}.json`)
  mkdirSync(BENCH_RESULTS, { recursive: true })
  const parts: Record<string, () => Promise<object>> = {
    driver: () => driver(quick),
    step: async () => ({ step: await ownStep(quick ? 15 : 60) }),
    virtio: async () => ({ virtioShare: await driverShare('virtio', quick ? 15 : 60) }),
    filters: async () => ({ filters: await filters(quick ? 15 : 60) }),
    program: () => program(quick, picture),
    tunnel: () => tunnelShare(quick),
    // Need root, and two minutes.
    ...(only === 'tunnel-peers' ? { 'tunnel-peers': () => peers(quick) } : {}),
    ...(only === 'host-interface' ? { 'host-interface': () => hosts(quick) } : {}),
    ...(/^peers(-|$)/.test(only ?? '') ? peerParts(quick) : {}),
    ...(only === 'capture' ? { capture: async () => ({ capture: await captures(quick) }) } : {}),
    // A minute each.
    ...(/^sustained(-|$)/.test(only ?? '') ? sustainedParts(quick) : {}),
    contention: async () => ({ contention: await contention(quick) }),
    // As long as is asked for.
    ...(only === 'latency' ? { latency: async () => ({ latency: await longLatency(picture) }) } : {}),
    // Takes a quarter of an hour.
    ...(/^scale(-|$)/.test(only ?? '') ? scaleParts(quick) : {}),
    ...(only === 'scale-pictures' ? { 'scale-pictures': () => drawScale(file) } : {}),
  }
  const chosen = Object.keys(parts).filter((part) => only === undefined || `${part}-`.startsWith(`${only}-`))
  if (chosen.length === 0) {
    throw new Error(
      `--only= takes ${Object.keys(parts).join(', ')}, tunnel-peers, host-interface, peers, capture, sustained, latency, scale, scale-<sweep>, scale-pictures`,
    )
  }

  for (const part of chosen) {
    const loadBefore = Number(loadavg()[0].toFixed(2))
    const figures: Results = await parts[part]()
    // What was measured on the same day by another run stays.
    const results = read(file)
    const runs = { ...results.runs, [part]: { loadBefore, quick } }
    const scale = { ...results.scale, ...figures.scale }
    Object.assign(results, { date, machine }, figures, { runs }, figures.scale && { scale })
    writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  }
  console.log(`\nwritten to ${file}`)
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
