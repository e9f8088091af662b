/** What commander says of a wrong command line, as this program says it. */
import type { Command, CommanderError } from 'commander'
import { type IxyError, usageError } from '../errors.ts'

/** One line, what to do next, exit code 2. `argv`: what `program` was asked to parse. */
export function asUsageError(error: CommanderError, argv: readonly string[], program: Command): IxyError {
  if (error.message === '(outputHelp)')
    return usageError(`unknown command '${argv.at(-1)}'`, 'see ixy-ts --help')
  const what = error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/s, ' (did you mean $1?)')
    .replace(/\.$/, '')
  const names = program.commands.flatMap((command) => [command.name(), ...command.aliases()])
  return usageError(what, `see ixy-ts ${names.includes(argv[0]) ? `${argv[0]} ` : ''}--help`)
}
