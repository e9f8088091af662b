/** How a failure reaches the user: one line on stderr with its code, and an exit code. */
import { EXIT_CODES, type IxyError, asIxyError } from '../errors.ts'
import { stderr } from './output/outlet.ts'
import { chalkFor } from './output/stdout.ts'

/** Writes the line and returns the exit code. The stack, and whatever caused it, only when debugging. */
export function reportFailure(thrown: unknown, debug: boolean, color: boolean): number {
  const error = asIxyError(thrown)
  const chalk = chalkFor(stderr, color)
  let text = `${chalk.red('ixy-ts:')} ${failureLine(error)}\n`
  if (debug) text += stackOf(error)
  if (!stderr.writeNow(text)) stderr.write(text)
  return error.exitCode
}

/** What breaks in the middle of a run is a failure at run time (1), whatever it would have been before its start. */
export function exitCodeOf(code: number, started: boolean): number {
  return started && code !== EXIT_CODES.IXY_ERR_EXPECTATION ? 1 : code
}

/** `message [CODE]`, on one line whatever the message was made of. */
export function failureLine(error: IxyError): string {
  return `${error.message.replace(/\s*\n\s*/g, ' ')} [${error.code}]`
}

function stackOf(error: Error): string {
  const stack = `${error.stack ?? ''}\n`
  return error.cause instanceof Error ? `${stack}caused by: ${stackOf(error.cause)}` : stack
}
