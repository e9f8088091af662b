/** The program behind bin/ixy-ts: parses, runs one command, exits with its code. */
import { CommanderError } from 'commander'
import type { IxyError } from '../errors.ts'
import { reportFailure } from './failure.ts'
import { failedEnd } from './output/json.ts'
import { dataStream, outputFailure, watchStdout } from './output/stdout.ts'
import { createProgram } from './program.ts'
import { usageError } from './usage.ts'

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

function fail(error: unknown): never {
  if (given('--json')) dataStream().write(`${failedEnd(error)}\n`)
  process.exit(reportFailure(error, debug, color))
}

/** commander's complaints in this program's style: one line, what to do next, exit code 2. */
function asUsageError(error: CommanderError): IxyError {
  if (error.message === '(outputHelp)')
    return usageError(`unknown command '${argv.at(-1)}'`, 'see ixy-ts --help')
  const what = error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/s, ' (did you mean $1?)')
    .replace(/\.$/, '')
  return usageError(what, `see ixy-ts ${commandNames.includes(argv[0]) ? `${argv[0]} ` : ''}--help`)
}

/** Exits with `code`, unless that would hide that the output is not complete. */
function leave(code: number): never {
  const failure = code === 0 ? outputFailure() : null
  process.exit(failure === null ? code : reportFailure(failure, debug, color))
}

process.on('uncaughtException', fail)
if (debug) process.setSourceMapsEnabled(true)
// Whoever read our messages has gone: that is no reason to stop forwarding.
process.stderr.on('error', () => undefined)
watchStdout()

const program = createProgram(leave)
const commandNames = program.commands.flatMap((command) => [command.name(), ...command.aliases()])

if (argv.length === 0) fail(usageError('a command is missing', 'see ixy-ts --help'))
program.parseAsync(argv, { from: 'user' }).catch((error: unknown) => {
  if (!(error instanceof CommanderError)) fail(error)
  if (error.exitCode === 0) leave(0)
  fail(asUsageError(error))
})
