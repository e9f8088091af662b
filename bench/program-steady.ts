/** What the program does besides forwarding, once it is warm, and what it costs until then. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missed } from './end-to-end.ts'
import { resident } from './lib/footprint.ts'
import { runTool } from './lib/tool.ts'

/** Seconds of the worker's life that don't count: rehearsal, the first packets, the optimising compiler. */
const WARM_UP = 3

export interface ProgramSteady {
  readonly seconds: number
  /** In the data-plane worker. */
  readonly collections: number
  /** Function and reason of each deoptimisation in the data-plane worker. */
  readonly deoptimisations: readonly string[]
  /** Missed at an offered rate of `offeredMpps` per direction: in the first second, and in the whole run. */
  readonly offeredMpps: number
  readonly missedFirstSecond: number
  readonly missedInAll: number
  readonly runSeconds: number
  /** Bytes: the program, and the process of its virtual NICs; huge pages not included. */
  readonly resident: readonly number[]
  /** Milliseconds from the start of the process to packets: median of `startups`. */
  readonly startup: number
  readonly startups: readonly number[]
}

/** Forwards as fast as it can for `seconds` and reads V8's own log of the worker's isolate. */
async function watchWorker(
  seconds: number,
): Promise<Pick<ProgramSteady, 'seconds' | 'collections' | 'deoptimisations' | 'resident'>> {
  const folder = mkdtempSync(join(tmpdir(), 'ixy-ts-bench-'))
  try {
    const flags = [
      '--trace-gc',
      '--log-deopt',
      '--logfile-per-isolate',
      `--logfile=${join(folder, 'v8.log')}`,
    ]
    const until = WARM_UP + seconds
    const { other, footprints } = await runTool(
      [
        'forward',
        'virtual:gen,rate=max',
        'virtual:gen,rate=max',
        '--touch',
        '-i',
        '3600',
        '-d',
        String(until),
      ],
      flags,
    )
    const logs = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
    const worker = logs.find(({ text }) => text.includes('worker.cjs'))
    if (worker === undefined) throw new Error('V8 left no log of the data-plane worker')
    const isolate = /0x[0-9a-f]+/.exec(worker.name)?.[0] ?? ''
    // The worker is older than the run, so until this second of its life it surely was forwarding.
    const steady = (milliseconds: number): boolean =>
      milliseconds > WARM_UP * 1000 && milliseconds < until * 1000
    const deoptimisations = worker.text
      .split('\n')
      .filter((line) => line.startsWith('code-deopt,'))
      .map((line) => line.split(','))
      .filter(([, microseconds]) => steady(Number(microseconds) / 1000))
      .map((fields) => fields.slice(6).join(','))
    const collections = [...other.matchAll(/\[\d+:(0x[0-9a-f]+)(?::\d+)?\]\s+(\d+) ms: /g)].filter(
      ([, where, when]) => where === isolate && steady(Number(when)),
    ).length
    return { seconds, collections, deoptimisations, resident: footprints.map(resident) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** `offeredMpps`: a rate in each direction that the program sustains once it is warm. */
export async function programSteady(quick: boolean, offeredMpps: number): Promise<ProgramSteady> {
  console.log('\nThe program: forward between virtual NICs')
  const watched = await watchWorker(quick ? 10 : 60)
  const gen = `virtual:gen,rate=${offeredMpps.toFixed(4)}Mpps`
  const runSeconds = 3
  const startups: number[] = []
  let missedFirstSecond = 0
  let missedInAll = 0
  const repetitions = 3
  for (let i = 0; i < repetitions; i++) {
    const run = await runTool(['forward', gen, gen, '--touch', '-d', String(runSeconds)])
    startups.push(run.startup)
    missedFirstSecond += missed(run.intervals[0] ?? [])
    missedInAll += missed(run.devices)
  }
  const startup = [...startups].sort((a, b) => a - b)[startups.length >> 1]
  const result = { ...watched, offeredMpps, missedFirstSecond, missedInAll, runSeconds, startup, startups }
  console.log(
    `  ${watched.seconds} s at full rate: ${watched.collections} garbage collections, ${watched.deoptimisations.length} deoptimisations in the data-plane worker`,
  )
  for (const one of watched.deoptimisations) console.log(`    ${one}`)
  console.log(
    `  ${repetitions} starts at 2 × ${offeredMpps.toFixed(2)} Mpps: ${missedFirstSecond} packets missed in the first second, ${missedInAll} in ${runSeconds} s`,
  )
  const memory = watched.resident.map((bytes) => `${Math.round(bytes / 2 ** 20)} MiB`)
  console.log(`  resident: program ${memory[0]}, virtual NICs ${memory[1]} (huge pages not included)`)
  console.log(`  from the start of the process to packets: ${Math.round(startup)} ms`)
  return result
}
