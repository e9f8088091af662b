/** stdout as the commands see it: whole lines, and a reader that may be slow or go away (`| head -1`). */
import { Chalk, type ChalkInstance } from 'chalk'
import { IxyError } from '../../errors.ts'
import { type Outlet, stderr, stdout } from './outlet.ts'
import type { Lines } from './reporter.ts'

/** Bytes that may wait for a reader of stdout before intervals are left out: hours of them at one a second. */
const BACKLOG = 4 << 20
/** The same for lines of an app, which may be many: intervals have room beside them. */
const BACKLOG_OF_APPS = 1 << 20

export interface Output extends Lines {
  /** Writes a line, unless too much waits for whoever reads; returns whether it does. */
  offer(text: string): boolean
  readonly chalk: ChalkInstance
}

let lent = false

/** From now on stdout belongs to a capture: what would have gone there goes to stderr. */
export function lendStdout(): void {
  lent = true
}

/** Where a command's data goes. */
export function dataOutlet(): Outlet {
  return lent ? stderr : stdout
}

/** `onClosed` is called once when stdout can't be written any more; what is written from then on is dropped. */
export function openStdout(color: boolean, onClosed: () => void): Output {
  const outlet = dataOutlet()
  outlet.onUnwritable(onClosed)
  return new DataOutput(outlet, chalkFor(outlet, color))
}

export class DataOutput implements Output {
  dropped = 0
  readonly chalk: ChalkInstance
  private readonly outlet: Outlet

  constructor(outlet: Outlet, chalk: ChalkInstance) {
    this.outlet = outlet
    this.chalk = chalk
  }

  line(text: string): void {
    this.outlet.write(`${text}\n`)
  }

  intervalLine(text: string): void {
    if (!this.outlet.offer(`${text}\n`, BACKLOG)) this.dropped++
  }

  offer(text: string): boolean {
    return this.outlet.offer(`${text}\n`, BACKLOG_OF_APPS)
  }
}

/** Why not all that was written to stdout has arrived, if it hasn't. A reader who has gone is no failure. */
export function outputFailure(): IxyError | null {
  const { failure, waiting } = dataOutlet()
  if (failure !== null) {
    const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(failure.code ?? '')
    const fix = full ? 'make room and run again' : 'send it elsewhere'
    return new IxyError('IXY_ERR_OUTPUT', `stdout can't be written: ${failure.message}`, fix)
  }
  if (waiting === 0) return null
  return new IxyError(
    'IXY_ERR_OUTPUT',
    `the output is not complete: the last ${waiting} bytes were not read from stdout in time`,
    'read faster, or write to a file',
  )
}

/** Colours on a terminal, unless --no-color (`color` false), NO_COLOR (https://no-color.org) or TERM=dumb forbids them. */
export function chalkFor(outlet: Pick<Outlet, 'terminal'>, color: boolean): ChalkInstance {
  const { NO_COLOR, TERM } = process.env
  const allowed = color && outlet.terminal && TERM !== 'dumb' && (NO_COLOR ?? '') === ''
  return new Chalk({ level: allowed ? 1 : 0 })
}
