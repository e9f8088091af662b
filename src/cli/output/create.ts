import { VERSION } from '../../version.ts'
import { JsonReporter } from './json.ts'
import type { Reporter } from './reporter.ts'
import { type Output, dataOutlet } from './stdout.ts'
import type { Headline } from './summary.ts'
import { type TextOptions, TextReporter } from './text.ts'

/** The reporter that the flags ask for. */
export function createReporter(
  command: string,
  flags: TextOptions & { readonly json: boolean },
  output: Output,
  headline: Headline,
): Reporter {
  if (flags.json) return new JsonReporter(output, command, VERSION, flags.quiet)
  return new TextReporter(output, output.chalk, headline, flags, () => dataOutlet().columns)
}
