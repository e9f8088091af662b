/** The program behind bin/ixy-ts: parses, runs one command, exits with its code. */
import { CommanderError } from 'commander'
import { strayMistake } from '../engine/app-mistake.ts'
import { stopAtOnce } from '../engine/emergency.ts'
import { reportFailure } from './failure.ts'
import { leave } from './leave.ts'
import { LOG_LEVELS, type Log, createLog } from './log.ts'
import { earlyEnd } from './output/json.ts'
import { dataOutlet } from './output/stdout.ts'
import { createProgram } from './program.ts'
import { asUsageError } from './usage.ts'
import { usageError } from '../option-values.ts'

const argv = process.argv.slice(2)
if (argv[0] === '--dump-registers') argv[0] = 'dump-registers'

/** Read by hand: a failure may come before, or be about, the parsing of options. */
function given(option: string, value?: string): boolean {
  const at = argv.indexOf(option)
  if (value === undefined) return at >= 0
  return argv.includes(`${option}=${value}`) || (at >= 0 && argv[at + 1] === value)
}

const debug = given('--log-level', 'debug') || given('--log-level', 'trace')
const color = !given('--no-color')

const logLevel = LOG_LEVELS.find((level) => given('--log-level', level)) ?? 'info'
const report = (error: unknown): number => reportFailure(error, debug, color)
const log = (): Log => createLog(logLevel, color)

function finish(code: number, deadline?: number): void {
  void leave(code, { report, log, deadline })
}

function fail(error: unknown, deadline?: number): void {
  if (given('--json')) dataOutlet().write(`${earlyEnd(error)}\n`)
  finish(report(error), deadline)
}

/** A bug: nobody knows what still works, so that nothing is waited for any longer than this, milliseconds. */
const AFTER_A_BUG = 1_000

process.on('uncaughtException', (error) => {
  stopAtOnce()
  fail(strayMistake(error), AFTER_A_BUG)
})
if (debug) process.setSourceMapsEnabled(true)

const program = createProgram(finish)

if (argv.length === 0) fail(usageError('a command is missing', 'see ixy-ts --help'))
else
  program.parseAsync(argv, { from: 'user' }).catch((error: unknown) => {
    if (!(error instanceof CommanderError)) fail(error)
    else if (error.exitCode === 0) finish(0)
    else fail(asUsageError(error, argv, program))
  })
