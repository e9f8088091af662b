/** stdout as the commands see it: whole lines, and a reader that may go away (`| head -1`). */
import { Chalk, type ChalkInstance } from 'chalk'

export interface Output {
  line(text: string): void
  readonly chalk: ChalkInstance
}

/** `onClosed` is called once when nobody reads stdout any more; what is written from then on is dropped. */
export function openStdout(color: boolean, onClosed: () => void): Output {
  const { stdout } = process
  let open = true
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!open) return
    open = false
    if (error.code !== 'EPIPE') process.stderr.write(`ixy-ts: stdout: ${error.message} [IXY_ERR_FILE]\n`)
    onClosed()
  })
  return {
    line(text) {
      if (open) stdout.write(`${text}\n`)
    },
    chalk: chalkFor(stdout, color),
  }
}

/** Colours on a terminal, unless --no-color (`color` false), NO_COLOR (https://no-color.org) or TERM=dumb forbids them. */
export function chalkFor(stream: { isTTY?: boolean }, color: boolean): ChalkInstance {
  const { NO_COLOR, TERM } = process.env
  const allowed = color && stream.isTTY === true && TERM !== 'dumb' && (NO_COLOR ?? '') === ''
  return new Chalk({ level: allowed ? 1 : 0 })
}
