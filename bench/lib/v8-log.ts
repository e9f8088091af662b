/** What V8 has done in the data-plane worker of a run besides running its loops. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ToolRun } from './tool.ts'

export interface Watched<Run> {
  readonly run: Run
  readonly collections: number
  /** Function and reason of each. */
  readonly deoptimisations: readonly string[]
}

/** Runs the tool with flags by which V8 tells. What counts is what comes from `from` to `until`, seconds of the worker's life. */
export async function watchWorker<Run extends Pick<ToolRun, 'other'>>(
  from: number,
  until: number,
  runWith: (flags: readonly string[]) => Promise<Run>,
): Promise<Watched<Run>> {
  const folder = mkdtempSync(join(tmpdir(), 'ixy-ts-bench-'))
  try {
    const run = await runWith([
      '--trace-gc',
      '--log-deopt',
      '--logfile-per-isolate',
      `--logfile=${join(folder, 'v8.log')}`,
    ])
    const logs = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
    const worker = logs.find(({ text }) => text.includes('worker.cjs'))
    if (worker === undefined) throw new Error('V8 left no log of the data-plane worker')
    const isolate = /0x[0-9a-f]+/.exec(worker.name)?.[0] ?? ''
    const counts = (milliseconds: number): boolean =>
      milliseconds > from * 1000 && milliseconds < until * 1000
    const deoptimisations = worker.text
      .split('\n')
      .filter((line) => line.startsWith('code-deopt,'))
      .map((line) => line.split(','))
      .filter(([, microseconds]) => counts(Number(microseconds) / 1000))
      .map((fields) => fields.slice(6).join(','))
    const collections = [...run.other.matchAll(/\[\d+:(0x[0-9a-f]+)(?::\d+)?\]\s+(\d+) ms: /g)].filter(
      ([, where, when]) => where === isolate && counts(Number(when)),
    ).length
    return { run, collections, deoptimisations }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
