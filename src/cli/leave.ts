/** The end of the process: not before what was written has arrived, and not later than a stop allows. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { exitNow } from '../linux/exit.ts'
import type { Log } from './log.ts'
import { stderr, stdout } from './output/outlet.ts'
import { dataOutlet, outputFailure } from './output/stdout.ts'
import { outputDeadline } from './stop.ts'

/** Milliseconds of waiting for the reader of stdout after which the user is told. */
const TELL_AFTER = 2_000
/** Milliseconds that the reader of stderr may take. */
const STDERR_DEADLINE = 300

const terminals = [0, 1, 2].filter((fd) => isatty(fd))

export interface LeaveOptions {
  /** Writes the line that says why stdout is not complete, and returns its exit code. */
  readonly report: (failure: Error) => number
  readonly log: () => Log
  /** Milliseconds that the reader of stdout may take; without end by default, until a signal comes. */
  readonly deadline?: number | undefined
}

/** Exits with `code`, unless that would hide that the output is not complete. */
export async function leave(code: number, { report, log, deadline }: LeaveOptions): Promise<never> {
  const data = dataOutlet()
  const reminder = setTimeout(() => {
    log().warn(`waiting for the reader of stdout, ${data.waiting} bytes to go; Ctrl-C gives up`)
  }, TELL_AFTER)
  await Promise.race([data.flushed(), outputDeadline(), ...(deadline === undefined ? [] : [sleep(deadline)])])
  clearTimeout(reminder)
  const failure = outputFailure()
  const status = code === 0 && failure !== null ? report(failure) : code
  await Promise.race([stderr.flushed(), sleep(STDERR_DEADLINE)])
  // process.exit() waits for writes under way, and resets terminals: Node.js 20 aborts if one has gone.
  if (stdout.waiting + stderr.waiting > 0 || !terminals.every((fd) => isatty(fd))) exitNow(status)
  process.exit(status)
}
