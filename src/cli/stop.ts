/**
 * Ending on request. The first signal asks for a clean stop: the devices are given back, the summary is printed, and
 * stdout's reader has until OUTPUT_DEADLINE to take it. The second ends the process at once with exit code 1.
 */
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { stopAtOnce } from '../engine/emergency.ts'
import { IxyError } from '../errors.ts'
import { sleepMilliseconds } from '../linux/clock.ts'
import { exitNow } from '../linux/exit.ts'
import { onSignalInWait } from '../linux/poll.ts'
import { signalPipe } from '../linux/signal-pipe.ts'
import { stopSignals } from '../linux/stop-signals.ts'
import { failureLine } from './failure.ts'
import { stderr } from './output/outlet.ts'
import { dataOutlet } from './output/stdout.ts'

export interface StopRequest {
  readonly signal: AbortSignal
  /** Asks for a clean stop for another reason: nobody reads stdout any more. */
  stop(): void
}

/** Milliseconds after the first signal in which others are taken for the same: timeout(1) sends its signal twice. */
const SAME = 500
/** Milliseconds for the line that says so to get to a terminal. */
const LAST_WORD = 20
/** Milliseconds after the first signal that the reader of stdout may take. */
const OUTPUT_DEADLINE = 1_500
/** Milliseconds that it may take at least, from when all is printed. */
const LEAST_FOR_OUTPUT = 500

/** When the first signal came, performance.now(). */
let first: number | null = null
let heardFirst: () => void = () => undefined
const firstSignal = new Promise<void>((resolve) => (heardFirst = resolve))

export function listenForStop(): StopRequest {
  const controller = new AbortController()
  const count = (): void => {
    const now = performance.now()
    if (first === null) {
      first = now
      heardFirst()
    }
    if (now - first > SAME) endAtOnce()
    controller.abort()
  }
  const signals = stopSignals()
  const numbers = new Set<number>(signals.map((name) => constants.signals[name]))
  /** Signals that were counted in a wait, and whose handler is still to run. */
  let counted = 0
  for (const name of signals) {
    process.on(name, () => {
      if (counted > 0) counted--
      else count()
    })
  }
  const pipe = signalPipe()
  // SIGUSR2 is the watchdog's: the signal came just before the wait.
  onSignalInWait([...signals, 'SIGUSR2'], (interrupted) => {
    const waiting =
      pipe?.pending().filter((number) => numbers.has(number)).length ?? (interrupted ? counted + 1 : 0)
    for (; counted < waiting; counted++) count()
  })
  return { signal: controller.signal, stop: () => controller.abort() }
}

/**
 * Before this program runs again in its own place, which nobody would tell of a signal that came while it was being loaded: that one ends
 * it, as does what comes from here on.
 */
export function stopListening(): void {
  const signals = stopSignals()
  for (const name of signals) process.removeAllListeners(name)
  const came = signalPipe()?.pending() ?? []
  for (const name of signals) if (came.includes(constants.signals[name])) process.kill(process.pid, name)
}

/** Resolves when the reader of stdout has had its time: some after the first signal, never without one. */
export async function outputDeadline(): Promise<void> {
  await firstSignal
  // What an end that took long has printed last needs its time, too.
  const left = Math.max(LEAST_FOR_OUTPUT, (first ?? 0) + OUTPUT_DEADLINE - performance.now())
  await sleep(left)
}

/** Children and their sockets go when their channel to this process closes. */
function endAtOnce(): never {
  stopAtOnce()
  const { waiting } = dataOutlet()
  const output = waiting > 0 ? `, ${waiting} bytes of output were not read` : ''
  const error = new IxyError('IXY_ERR_STOP', `a second signal: ended at once, without a summary${output}`)
  const text = `ixy-ts: ${failureLine(error)}\n`
  if (!stderr.writeNow(text)) {
    // Another thread tries; a terminal that is stopped doesn't get the line.
    stderr.write(text)
    sleepMilliseconds(LAST_WORD)
  }
  exitNow(error.exitCode)
}
