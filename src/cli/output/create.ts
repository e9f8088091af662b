import { VERSION } from '../../version.ts'
import { JsonReporter } from './json.ts'
import type { Reporter } from './reporter.ts'
import type { Output } from './stdout.ts'
import type { Headline } from './summary.ts'
import { type TextOptions, TextReporter } from './text.ts'

/** The reporter that the flags ask for. */
export function createReporter(
  command: string,
  flags: TextOptions & { readonly json: boolean },
  output: Output,
  headline: Headline,
): Reporter {
  const write = (line: string): void => output.line(line)
  if (flags.json) return new JsonReporter(write, command, VERSION, flags.quiet)
  return new TextReporter(write, output.chalk, headline, flags, terminalColumns)
}

/** Null where stdout is no terminal, or one that doesn't know its size. */
function terminalColumns(): number | null {
  const { isTTY, columns } = process.stdout
  return isTTY && columns > 0 ? columns : null
}
