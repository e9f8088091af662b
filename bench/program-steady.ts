/** What the program does besides forwarding, once it is warm, and what it costs until then. */
import { missed } from './end-to-end.ts'
import { resident } from './lib/footprint.ts'
import { runTool } from './lib/tool.ts'
import { watchWorker } from './lib/v8-log.ts'

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

/** Forwards as fast as it can for `seconds`. */
async function watch(
  seconds: number,
): Promise<Pick<ProgramSteady, 'seconds' | 'collections' | 'deoptimisations' | 'resident'>> {
  const gen = 'virtual:gen,rate=max'
  // The worker is older than the run, so until this second of its life it surely was forwarding.
  const until = WARM_UP + seconds
  const { run, collections, deoptimisations } = await watchWorker(WARM_UP, until, (flags) =>
    runTool(['forward', gen, gen, '--touch', '-i', '3600', '-d', String(until)], flags),
  )
  return { seconds, collections, deoptimisations, resident: run.footprints.map(resident) }
}

/** `offeredMpps`: a rate in each direction that the program sustains once it is warm. */
export async function programSteady(quick: boolean, offeredMpps: number): Promise<ProgramSteady> {
  console.log('\nThe program: forward between virtual NICs')
  const watched = await watch(quick ? 10 : 60)
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
