/** How a failure reaches the user: one line on stderr with its code, and an exit code. */
import { type IxyError, asIxyError } from '../errors.ts'
import { chalkFor } from './output/stdout.ts'

/** Writes the line and returns the exit code. The stack, and whatever caused it, only when debugging. */
export function reportFailure(thrown: unknown, debug: boolean, color: boolean): number {
  const error = asIxyError(thrown)
  const chalk = chalkFor(process.stderr, color)
  let text = `${chalk.red('ixy-ts:')} ${failureLine(error)}\n`
  if (debug) text += stackOf(error)
  process.stderr.write(text)
  return error.exitCode
}

/** `message [CODE]`, on one line whatever the message was made of. */
export function failureLine(error: IxyError): string {
  return `${error.message.replace(/\s*\n\s*/g, ' ')} [${error.code}]`
}

function stackOf(error: Error): string {
  const stack = `${error.stack ?? ''}\n`
  return error.cause instanceof Error ? `${stack}caused by: ${stackOf(error.cause)}` : stack
}
