/** stdout as the commands see it: whole lines, and a reader that may go away (`| head -1`). */
import { Chalk, type ChalkInstance } from 'chalk'
import { IxyError } from '../../errors.ts'

export interface Output {
  line(text: string): void
  readonly chalk: ChalkInstance
}

let lent = false

/** From now on stdout belongs to a capture: what would have gone there goes to stderr. */
export function lendStdout(): void {
  lent = true
}

/** Where a command's data goes. */
export function dataStream(): NodeJS.WriteStream {
  return lent ? process.stderr : process.stdout
}

/** `onClosed` is called once when stdout can't be written any more; what is written from then on is dropped. */
export function openStdout(color: boolean, onClosed: () => void): Output {
  const stdout = dataStream()
  let open = true
  stdout.once('error', () => {
    open = false
    onClosed()
  })
  return {
    line(text) {
      if (open) stdout.write(`${text}\n`)
    },
    chalk: chalkFor(stdout, color),
  }
}

let firstError: NodeJS.ErrnoException | null = null

/** Keeps an error of stdout from ending the process: the commands stop by themselves, and outputFailure() tells. */
export function watchStdout(): void {
  process.stdout.on('error', (error) => (firstError ??= error))
}

/** Why not all that was written to stdout has arrived, if it hasn't. A reader who has gone is no failure. */
export function outputFailure(): IxyError | null {
  // Of what was written just now, the event is still to come.
  const error: NodeJS.ErrnoException | null = firstError ?? process.stdout.errored
  if (error === null || error.code === 'EPIPE') return null
  return new IxyError(
    'IXY_ERR_OUTPUT',
    `stdout can't be written: ${error.message}`,
    'make room and run again',
  )
}

/** Colours on a terminal, unless --no-color (`color` false), NO_COLOR (https://no-color.org) or TERM=dumb forbids them. */
export function chalkFor(stream: { isTTY?: boolean }, color: boolean): ChalkInstance {
  const { NO_COLOR, TERM } = process.env
  const allowed = color && stream.isTTY === true && TERM !== 'dumb' && (NO_COLOR ?? '') === ''
  return new Chalk({ level: allowed ? 1 : 0 })
}
