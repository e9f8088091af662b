/** What trials of latency add up to, over several runs if a file keeps it, and how it is told. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { LogHistogram } from '../../src/apps/pktgen/log-histogram.ts'
import { ccdf } from '../lib/ccdf-svg.ts'
import type { Other } from '../lib/others.ts'
import type { Shares, Stall } from '../lib/stalls.ts'

export type Forwarder = 'C' | 'ours'

export interface Trial {
  readonly seconds: number
  readonly histogram: LogHistogram
  readonly missed: number
  /** Of the NICs: the resolution of the times, microseconds. */
  readonly pollMicroseconds: number
  readonly shares: Shares
  readonly stallCount: number
  readonly stalls: readonly Stall[]
  readonly others: readonly Other[]
  /** Of the data-plane worker, ours. */
  readonly collections: number
  readonly deoptimisations: readonly string[]
}

/** Of all trials of a forwarder at a load. */
export interface LatencyResult {
  readonly forwarder: Forwarder
  /** Share of the sustained rate. */
  readonly load: number
  /** Offered in each direction. */
  readonly mpps: number
  readonly seconds: number
  readonly packets: number
  readonly missed: number
  readonly pollMicroseconds: number
  /** By names as in p99.99. */
  readonly microseconds: Readonly<Record<string, number>>
  /** p99.99 of each trial. */
  readonly p9999OfRounds: readonly number[]
  readonly shares: Shares
  readonly stallCount: number
  /** The longest ones. */
  readonly stalls: readonly Stall[]
  readonly others: readonly Other[]
  readonly collections: number
  readonly deoptimisations: readonly string[]
}

type Kept = Omit<LatencyResult, 'microseconds' | 'packets'> & {
  /** Buckets that aren't empty. */
  readonly buckets: readonly (readonly [number, number])[]
}

const QUANTILES = [0.5, 0.99, 0.999, 0.9999, 0.999999, 1]
const NAMES = ['p50', 'p99', 'p99.9', 'p99.99', 'p99.9999', 'max']
const COLOURS = ['#0072b2', '#009e73', '#d55e00']
const STALLS = 5
const OTHERS = 4

export class LatencySums {
  private readonly sustained: number
  private readonly file: string | null
  private kept: Kept[] = []

  constructor(sustained: number, file: string | null) {
    this.sustained = sustained
    this.file = file
    if (file === null || !existsSync(file)) return
    const { of, kept } = JSON.parse(readFileSync(file, 'utf8')) as { of: number; kept: Kept[] }
    if (of !== sustained) throw new Error(`${file} is of another sustained rate: ${of} Mpps`)
    this.kept = kept
  }

  /** Trials of both at that load. */
  trialsOf(load: number): number {
    const those = this.kept.filter((one) => one.load === load)
    return those.reduce((sum, { p9999OfRounds }) => sum + p9999OfRounds.length, 0)
  }

  add(forwarder: Forwarder, load: number, trial: Trial): void {
    const before = this.kept.find((one) => one.forwarder === forwarder && one.load === load)
    const rounds = before?.p9999OfRounds ?? []
    const histogram = histogramOf(before?.buckets ?? [])
    histogram.add(trial.histogram)
    const mean =
      ((before?.pollMicroseconds ?? 0) * rounds.length + trial.pollMicroseconds) / (rounds.length + 1)
    const now: Kept = {
      ...{ forwarder, load, mpps: load * this.sustained, pollMicroseconds: mean },
      seconds: (before?.seconds ?? 0) + trial.seconds,
      missed: (before?.missed ?? 0) + trial.missed,
      p9999OfRounds: [...rounds, trial.histogram.quantile(0.9999) / 1000],
      shares: sumOf(before?.shares ?? null, trial.shares),
      stallCount: (before?.stallCount ?? 0) + trial.stallCount,
      stalls: longestOf([...(before?.stalls ?? []), ...trial.stalls]),
      others: together([...(before?.others ?? []), ...trial.others]),
      collections: (before?.collections ?? 0) + trial.collections,
      deoptimisations: [...(before?.deoptimisations ?? []), ...trial.deoptimisations],
      buckets: [...histogram.counts.entries()].filter(([, count]) => count > 0),
    }
    this.kept = [...this.kept.filter((one) => one !== before), now].sort(
      (a, b) => a.load - b.load || a.forwarder.localeCompare(b.forwarder),
    )
    if (this.file !== null)
      writeFileSync(this.file, `${JSON.stringify({ of: this.sustained, kept: this.kept })}\n`)
  }

  results(): LatencyResult[] {
    return this.kept.map(({ buckets, ...rest }) => {
      const histogram = histogramOf(buckets)
      const microseconds = QUANTILES.map((share, i) => [NAMES[i], histogram.quantile(share) / 1000])
      return {
        ...rest,
        packets: histogram.total,
        microseconds: Object.fromEntries(microseconds) as Record<string, number>,
      }
    })
  }

  print(): void {
    console.log('\nLatency from wire to wire between virtual NICs, 60 bytes, both directions, microseconds\n')
    const columns = [...NAMES, 'packets', 'missed', 'NIC poll', 'seconds']
    console.log(' '.repeat(28) + columns.map((name) => name.padStart(10)).join(''))
    const results = this.results()
    for (const one of results) {
      const cells = [
        ...NAMES.map((name) => one.microseconds[name].toFixed(1)),
        `${(one.packets / 1e6).toFixed(2)}M`,
        String(one.missed),
        one.pollMicroseconds.toFixed(1),
        String(one.seconds),
      ]
      const label = `${labelOf(one)} (2 × ${one.mpps.toFixed(2)} Mpps)`
      console.log(`  ${label.padEnd(26)}${cells.map((cell) => cell.padStart(10)).join('')}`)
      const c = results.find(({ forwarder, load }) => forwarder === 'C' && load === one.load)
      if (one.forwarder === 'ours' && c !== undefined) printRatios(one, c)
    }
    console.log('\n  The threads of both, and who else has had the CPUs, seconds')
    for (const one of results) printShares(one)
    console.log('\n  The longest pauses, milliseconds: the threads waited for a CPU; the hypervisor had it')
    for (const one of results) printStalls(one)
  }

  draw(picture: string): void {
    const loads = [...new Set(this.kept.map(({ load }) => load))]
    const curves = this.kept.map((one) => ({
      label: labelOf(one),
      colour: COLOURS[loads.indexOf(one.load) % COLOURS.length],
      dashed: one.forwarder === 'C',
      points: histogramOf(one.buckets).exceedance(),
    }))
    const of = `100 % = 2 × ${this.sustained.toFixed(2)} Mpps`
    writeFileSync(picture, ccdf(`Time inside the host, Node.js ${process.versions.node}, ${of}`, curves))
    console.log(`\n  drawn into ${picture}`)
  }
}

function printRatios(ours: LatencyResult, c: LatencyResult): void {
  const all = ours.microseconds['p99.99'] / c.microseconds['p99.99']
  const rounds = ours.p9999OfRounds
    .slice(0, c.p9999OfRounds.length)
    .map((time, round) => time / c.p9999OfRounds[round])
    .sort((a, b) => a - b)
  const { collections, deoptimisations } = ours
  console.log(
    `    p99.99, ours / C: ${all.toFixed(2)}; by round: ${rounds.map((ratio) => ratio.toFixed(2)).join(' ')}; ` +
      `in the worker ${collections} garbage collections, ${deoptimisations.length} deoptimisations`,
  )
  for (const one of deoptimisations) console.log(`      ${one}`)
}

function printShares(one: LatencyResult): void {
  const { nicsRan, nicsWaited, forwarderRan, forwarderWaited, stolen } = one.shares
  const inSeconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(2)
  const others = one.others
    .slice(0, OTHERS)
    .map(({ name, milliseconds }) => `${name} ${inSeconds(milliseconds)}`)
  console.log(
    `  ${labelOf(one).padEnd(16)} NICs ran ${inSeconds(nicsRan)}, waited ${inSeconds(nicsWaited)}; ` +
      `forwarder ran ${inSeconds(forwarderRan)}, waited ${inSeconds(forwarderWaited)}; ` +
      `hypervisor ${inSeconds(stolen)}; ${others.join(', ')}`,
  )
}

function printStalls(one: LatencyResult): void {
  console.log(`  ${labelOf(one)}: ${one.stallCount} of more than 1 ms`)
  for (const { length, nicsWaited, forwarderWaited, stolen } of one.stalls.slice(0, STALLS)) {
    const explained = nicsWaited + forwarderWaited + stolen
    const rest = Math.max(0, length - explained)
    console.log(
      `    ${length.toFixed(1).padStart(6)}: NICs waited ${nicsWaited.toFixed(1)}, forwarder ${forwarderWaited.toFixed(1)}, ` +
        `hypervisor ${stolen.toFixed(0)}, neither ${rest.toFixed(1)}`,
    )
  }
}

function labelOf({ forwarder, load }: Pick<Kept, 'forwarder' | 'load'>): string {
  return `${forwarder === 'C' ? 'C' : 'ixy-ts'} at ${Math.round(load * 100)} %`
}

function histogramOf(buckets: Kept['buckets']): LogHistogram {
  const histogram = new LogHistogram()
  for (const [bucket, count] of buckets) histogram.counts[bucket] += count
  return histogram
}

function sumOf(a: Shares | null, b: Shares): Shares {
  if (a === null) return b
  const sum = Object.keys(b).map((name) => [name, a[name as keyof Shares] + b[name as keyof Shares]])
  return Object.fromEntries(sum) as unknown as Shares
}

function longestOf(stalls: readonly Stall[]): Stall[] {
  return [...stalls].sort((a, b) => b.length - a.length).slice(0, 2 * STALLS)
}

function together(others: readonly Other[]): Other[] {
  const sums = new Map<string, number>()
  for (const { name, milliseconds } of others) sums.set(name, (sums.get(name) ?? 0) + milliseconds)
  return [...sums]
    .map(([name, milliseconds]) => ({ name, milliseconds }))
    .sort((a, b) => b.milliseconds - a.milliseconds)
}
