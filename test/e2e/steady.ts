/** A run whose worker's heap V8 reports on: what is at work leaves nothing to the garbage collector. */
import { readFileSync, readdirSync } from 'node:fs'
import { Tool } from './support.ts'

/** Milliseconds of the worker's life that don't count: what it loads, the rehearsal, the optimising compiler. */
const WARM_UP = 2500
const SECONDS = 4

export interface SteadyRun {
  readonly code: number | null
  readonly stdout: string
  /** Of the worker's heap while it was loaded, and what of them there was when it had been at work for a while. */
  readonly early: number
  readonly steady: readonly { readonly when: number; readonly kind: string }[]
}

/** Runs the tool for some seconds. `directory` is empty, and the run's alone. */
export async function steadyRun(directory: string, args: readonly string[]): Promise<SteadyRun> {
  const { code, stdout } = await new Tool([...args, '-d', `${SECONDS}`, '-i', '3600', '--quiet'], {
    flags: ['--trace-gc', '--log-deopt', '--logfile-per-isolate', `--logfile=${directory}/v8.log`],
  }).end()
  const worker = readdirSync(directory).find((name) => {
    return name.includes('isolate') && readFileSync(`${directory}/${name}`, 'utf8').includes('worker.cjs')
  })
  const isolate = /0x[0-9a-f]+/.exec(worker ?? '')?.[0] ?? ''
  const collections = [...stdout.matchAll(/\[\d+:(0x[0-9a-f]+)(?::\d+)?\]\s+(\d+) ms: (\S+)/g)]
    .filter(([, where]) => where === isolate)
    .map(([, , when, kind]) => ({ when: Number(when), kind }))
  const steady = collections.filter(({ when }) => when > WARM_UP && when < SECONDS * 1000)
  return { code, stdout, early: collections.filter(({ when }) => when <= WARM_UP).length, steady }
}
