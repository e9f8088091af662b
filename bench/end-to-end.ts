/** The whole program between virtual NICs: packets per second, and how many without losing one. */
import { lineRate } from '../src/packet/rate.ts'
import { LINK_MBIT } from '../src/vnic/host.ts'
import { type PortTotals, type ToolRun, runTool } from './lib/tool.ts'

const SIZES = [60, 1514]

export interface Throughput {
  readonly command: 'forward' | 'pktgen'
  readonly frameBytes: number
  readonly queues: number
  /** The virtual NICs verify checksums and name packet types. */
  readonly inspect: boolean
  readonly seconds: number
  /** Mpps of each repetition: forward's two directions, or what pktgen sends. */
  readonly runs: readonly (readonly number[])[]
  /** Sum of all directions, Mpps. */
  readonly median: number
  readonly best: number
  readonly lost: number
}

export interface Sustained {
  readonly frameBytes: number
  /** Highest offered rate at which all arrived, Mpps in each direction; 0 if there was none. */
  readonly mpps: number
  readonly trialSeconds: number
  readonly trials: readonly {
    readonly mpps: number
    readonly offered: number
    readonly lost: number
    readonly passed: boolean
  }[]
}

export interface EndToEnd {
  readonly throughput: readonly Throughput[]
  readonly sustained: readonly Sustained[]
}

export async function throughput(
  command: Throughput['command'],
  frameBytes: number,
  queues: number,
  seconds: number,
  repetitions: number,
  inspect = false,
): Promise<Throughput> {
  const gen = `virtual:gen,rate=max,size=${frameBytes},flows=${queues > 1 ? 64 : 1}`
  const work =
    command === 'forward'
      ? ['forward', gen, gen, '--touch']
      : ['pktgen', 'virtual:sink', '--rate', 'max', '--size', String(frameBytes)]
  const runs: number[][] = []
  let lost = 0
  for (let i = 0; i < repetitions; i++) {
    const run = await runTool([
      ...[...work, '--quiet', '-d', String(seconds), '-q', String(queues)],
      ...(inspect ? ['--inspect'] : []),
    ])
    runs.push(run.devices.map(({ tx }) => tx.mpps))
    lost += lostIn(run)
  }
  const sums = runs.map((run) => run.reduce((sum, mpps) => sum + mpps)).sort((a, b) => a - b)
  const median = sums[sums.length >> 1]
  return { command, frameBytes, queues, inspect, seconds, runs, median, best: sums[sums.length - 1], lost }
}

/** What generators have sent and nobody has received, or what was sent and the sink has not seen. */
export function lostIn({ wires, devices }: ToolRun): number {
  return wires.reduce(
    (sum, { counters }, i) => sum + (counters.lost ?? devices[i].tx.packets - counters.arrived),
    0,
  )
}

/** Packets for which the card had no descriptor. */
export function missed(devices: readonly PortTotals[]): number {
  return devices.reduce((sum, { dropped }) => sum + (dropped.missed ?? 0), 0)
}

/** The offered rate counts as offered within this share: the generators share the cores with everything else. */
const OFFERED = 0.99
/** Of so many attempts one has to pass: on a machine with other work each one may lose packets to that. */
const ATTEMPTS = 2

/** Seconds at the start of a trial that don't count (RFC 2544 §23): the virtual NICs' code is being compiled, too. */
const LEARNING = 1

/**
 * RFC 2544 §26.1: the highest offered rate, the same in both directions, at which not a single packet is lost; by halving
 * the interval below `most` (Mpps per direction), or below line rate, `steps` times.
 */
export async function search(
  frameBytes: number,
  most: number,
  steps: number,
  trialSeconds: number,
): Promise<Sustained> {
  const trials: Sustained['trials'][number][] = []
  let low = 0
  let high = Math.min(most, lineRate(frameBytes, LINK_MBIT) / 1e6)
  for (let step = 0; step < steps; step++) {
    const mpps = Number(((low + high) / 2).toFixed(4))
    let passed = false
    for (let attempt = 0; attempt < ATTEMPTS && !passed; attempt++) {
      const gen = `virtual:gen,size=${frameBytes},rate=${mpps}Mpps`
      const duration = String(LEARNING + trialSeconds)
      const run = await runTool(['forward', gen, gen, '--touch', '-i', String(LEARNING), '-d', duration])
      const offered = run.wires.reduce((sum, { counters }) => sum + counters.sent, 0) / 2 / run.elapsed / 1e6
      const lost = lostIn(run) - missed(run.intervals[0] ?? [])
      passed = lost === 0 && offered >= OFFERED * mpps
      trials.push({ mpps, offered, lost, passed })
    }
    if (passed) low = mpps
    else high = mpps
  }
  return { frameBytes, mpps: low, trialSeconds, trials }
}

export async function endToEnd(quick: boolean): Promise<EndToEnd> {
  console.log('\nEnd to end between virtual NICs: Mpps, sum of all directions, median (best)')
  console.log('Looking into what they receive (--inspect): checksums verified, packet types named\n')
  const results: Throughput[] = []
  const sustained: Sustained[] = []
  const works = [
    { command: 'forward', inspect: false },
    { command: 'forward', inspect: true },
    // What is sent is never looked into.
    { command: 'pktgen', inspect: false },
  ] as const
  for (const { command, inspect } of works) {
    console.log(`  virtual NICs ${inspect ? 'that look' : "that don't look"} into what they receive`)
    for (const size of SIZES) {
      const result = await throughput(command, size, 1, quick ? 2 : 3, 3, inspect)
      results.push(result)
      const { median, best, lost, runs } = result
      const directions = runs.map((run) => run.map((mpps) => mpps.toFixed(2)).join(' + ')).join(', ')
      console.log(
        `  ${command.padEnd(8)}${String(size).padStart(5)} bytes: ${median.toFixed(2)} (${best.toFixed(2)})   ${directions}; ${lost} lost`,
      )
    }
  }
  console.log("  virtual NICs that don't look into what they receive")
  for (const size of SIZES) {
    const { best } = results[SIZES.indexOf(size)]
    const result = await search(size, best / 2, quick ? 5 : 7, quick ? 1 : 2)
    sustained.push(result)
    console.log(
      `  forward ${String(size).padStart(5)} bytes, nothing lost: ${(2 * result.mpps).toFixed(2)} offered (2 × ${result.mpps.toFixed(2)}; ${result.trials.length} trials of ${result.trialSeconds} s)`,
    )
  }
  return { throughput: results, sustained }
}
