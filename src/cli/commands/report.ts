/** `ixy-ts report`: runs as a page, from what they have written. */
import path from 'node:path'
import type { Command } from 'commander'
import { usageError } from '../../errors.ts'
import { share } from '../../option-values.ts'
import { counted } from '../../wording.ts'
import type { Finish } from '../finish.ts'
import { createLog } from '../log.ts'
import { type OutputFlags, addLogOptions } from '../options.ts'
import { stdout } from '../output/outlet.ts'
import { csv } from '../report/csv.ts'
import { TOLERANCE, reportPage } from '../report/page.ts'
import { readRuns } from '../report/read-runs.ts'
import { SafeFile } from '../report/safe-file.ts'

const EXAMPLES = `
The page needs nothing but a browser: no network, no other file. Of several runs, each is compared with the first.
Without -o, it has the name of the first input, with .html; with --csv alone, there is none.

Examples:
  ixy-ts forward virtual:gen virtual:gen -d 10 --json > run.ndjson
  ixy-ts report run.ndjson                                   run.html
  ixy-ts report before.ndjson after.ndjson -o both.html      side by side, regressions marked
  ixy-ts report run.ndjson --csv -                           the intervals, for a spreadsheet
  ixy-ts pktgen virtual:loop --latency -d 5 --json | ixy-ts report - -o latency.html
  ixy-ts forward virtual:gen virtual:gen -d 10 --report run.html      without a detour`

interface Flags extends Pick<OutputFlags, 'color' | 'logLevel'> {
  readonly output?: string
  readonly csv?: string
  readonly tolerance: number
}

export function addReport(program: Command, finish: Finish): void {
  const command = program
    .command('report')
    .description('Make a page of one run or several, from their --json output')
    .argument('<file...>', 'what --json has written, - for stdin')
    .option(
      '-o, --output <file.html>',
      'the page, - for stdout (default: the name of the first input, with .html)',
    )
    .option('--csv <file>', 'the intervals as a table, - for stdout')
    .option(
      '--tolerance <share>',
      'of several runs, mark what is worse than in the first by more than this: 0.05 or 5%',
      share('--tolerance'),
      TOLERANCE,
    )
    .addHelpText('after', EXAMPLES)
  addLogOptions(command).action(async (inputs: string[], flags: Flags) => {
    const log = createLog(flags.logLevel, flags.color)
    const page = flags.output ?? (flags.csv === undefined ? besides(inputs[0]) : null)
    checkFiles(inputs, page, flags.csv ?? null)
    // Before the reading, which takes longer.
    const [writePage, writeTable] = [page, flags.csv ?? null].map(writer)
    const runs = (await Promise.all(inputs.map((input) => readRuns(input, shownAs(input, inputs))))).flat()
    await writePage(() => reportPage(runs, flags.tolerance))
    await writeTable(() => csv(runs))
    for (const file of [page, flags.csv])
      if (file !== null && file !== undefined && file !== '-')
        log.info(`${file}: ${counted(runs.length, 'run')}`)
    finish(0)
  })
}

/** Without its folder, unless another has the same name. */
function shownAs(input: string, inputs: readonly string[]): string {
  const name = path.basename(input)
  return inputs.filter((other) => path.basename(other) === name).length === 1 ? name : input
}

/** run.ndjson → run.html */
function besides(input: string): string {
  if (input === '-') return 'report.html'
  const { dir, name } = path.parse(input)
  return path.join(dir, `${name}.html`)
}

function checkFiles(inputs: readonly string[], page: string | null, table: string | null): void {
  if (inputs.filter((input) => input === '-').length > 1)
    throw usageError('stdin can be read only once', 'give - once')
  if (page !== null && page === table)
    throw usageError(`--output and --csv have the same file, ${page}`, 'name two')
  for (const output of [page, table])
    if (
      output !== null &&
      output !== '-' &&
      inputs.some((input) => path.resolve(input) === path.resolve(output))
    )
      throw usageError(`${output} would be written over, and it is an input`, 'name another file with -o')
}

/** Writes what it is given to the file, or nothing where there is none. */
function writer(file: string | null): (make: () => string) => Promise<void> {
  if (file === null) return () => Promise.resolve()
  if (file === '-')
    return (make) => {
      stdout.write(make())
      return Promise.resolve()
    }
  const safe = new SafeFile(file)
  return (make) => safe.write(make())
}
