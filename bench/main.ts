/** Runs the benchmark's parts, prints a table, writes the figures to bench/results. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { contention } from './contention.ts'
import { captures } from './capture.ts'
import { driver, driverShare, ownStep } from './driver-table.ts'
import { filters } from './filters.ts'
import { hostInterface, printHostInterface } from './host-interface.ts'
import { latency } from './latency/latency.ts'
import { crossing } from './lib/crossing.ts'
import { peers as otherTools } from './peers/peers.ts'
import { LOADS, program } from './program.ts'
import { SWEEPS } from './scale/sweeps.ts'
import { type Measurements, drawSweeps } from './scale/pictures.ts'
import { sustained, SUSTAINED_CASES } from './sustained.ts'
import { printPeers, tunnelPeers } from './tunnel-peers.ts'
import { tunnelShare } from './tunnel-table.ts'

/** Set by run.mjs. */
const { BENCH_RESULTS = '', BENCH_COMPILER = '', BENCH_PICTURE = '', BENCH_DOCS = '' } = process.env

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
  runs?: Record<string, { loadBefore: number; lineNanoseconds?: number | null; quick: boolean }>
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
    const lineNanoseconds = await crossing()
    console.log(`\n${part}: a cache line from CPU to CPU takes ${lineNanoseconds ?? '?'} ns`)
    const figures: Results = await parts[part]()
    // What was measured on the same day by another run stays.
    const results = read(file)
    const runs = { ...results.runs, [part]: { loadBefore, lineNanoseconds, quick } }
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
