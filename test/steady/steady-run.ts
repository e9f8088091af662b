/** A run whose worker's heap V8 reports on: what is at work leaves nothing to the garbage collector. */
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { Tool } from '../e2e/support.ts'

/** The part of a run from its first interval, which is a second long, until the optimising compiler has done what it will. */
const SETTLING = 1 / 8
/** What there has to be of the run after that, and the most of its end that is looked at, milliseconds. */
const ENOUGH = 1000
const LOOKED_AT = 3000
/** Seconds of a run; and of those after one of which a busy machine has left too little, or in which it came late to compile. */
const LENGTHS = [4, 6, 15]

export interface SteadyRun {
  readonly code: number | null
  readonly stdout: string
  /** Of the worker's heap while it was loaded, and what of them there was when it had been at work for a while. */
  readonly early: number
  readonly steady: readonly { readonly when: number; readonly kind: string }[]
}

/** Runs the tool for some seconds, again and longer if there are more than a `few` collections. `directory` is empty, and the run's alone. */
export async function steadyRun(directory: string, args: readonly string[], few = 0): Promise<SteadyRun> {
  for (const [attempt, seconds] of LENGTHS.entries()) {
    const logs = path.join(directory, `${attempt}`)
    mkdirSync(logs)
    const begun = performance.now()
    const tool = new Tool([...args, '-d', `${seconds}`], {
      // What a worker meets for the first time makes V8 throw code away, and what is interpreted allocates.
      env: { IXY_TS_REHEARSAL: '1' },
      flags: ['--trace-gc', '--log-deopt', '--logfile-per-isolate', `--logfile=${logs}/v8.log`],
    })
    await tool.until(/^\[virtual:.* (Mpps|kpps|pps)$/m)
    // On the worker's clock, which was started later, it isn't later than this, nor is the run's end before that.
    const until = seconds * 1000
    const from = Math.max(performance.now() - begun + until * SETTLING, until - LOOKED_AT)
    if (until - from < ENOUGH) {
      await tool.kill()
      continue
    }
    const { code, stdout } = await tool.end()
    const found = collections(logs, stdout, from, until)
    // What allocates at work does so in each run.
    if (found.steady.length <= few || seconds === LENGTHS.at(-1)) return { code, stdout, ...found }
  }
  throw new Error('the machine is too busy: a run of some seconds was over before it was at work')
}

function collections(
  logs: string,
  stdout: string,
  from: number,
  until: number,
): Pick<SteadyRun, 'early' | 'steady'> {
  const worker = readdirSync(logs).find((name) => {
    return name.includes('isolate') && readFileSync(`${logs}/${name}`, 'utf8').includes('worker.cjs')
  })
  const isolate = /0x[0-9a-f]+/.exec(worker ?? '')?.[0] ?? ''
  const all = [...stdout.matchAll(/\[\d+:(0x[0-9a-f]+)(?::\d+)?\]\s+(\d+) ms: (\S+)/g)]
    .filter(([, where]) => where === isolate)
    .map(([, , when, kind]) => ({ when: Number(when), kind }))
  return {
    early: all.filter(({ when }) => when <= from).length,
    steady: all.filter(({ when }) => when > from && when < until),
  }
}
