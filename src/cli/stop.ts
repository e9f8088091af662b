/**
 * Ending on request. The first signal asks for a clean stop: the devices are given back, the summary is printed, and
 * stdout's reader has until OUTPUT_DEADLINE to take it. The second ends the process at once with exit code 1.
 */
import { stopAtOnce } from '../engine/emergency.ts'
import { IxyError } from '../errors.ts'
import { exitNow } from '../linux/exit.ts'
import { onStopSignalInWait } from '../linux/poll.ts'
import { failureLine } from './failure.ts'
import { stderr } from './output/outlet.ts'
import { dataOutlet } from './output/stdout.ts'

export interface StopRequest {
  readonly signal: AbortSignal
  /** Asks for a clean stop for another reason: nobody reads stdout any more. */
  stop(): void
}

/** SIGHUP counts as well: the terminal was closed, and a NIC must not be left doing DMA. SIGQUIT: Ctrl-\. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
/** Milliseconds after the first signal in which others are taken for the same: timeout(1) sends its signal twice. */
const SAME = 500
/** Milliseconds after the first signal that the reader of stdout may take. */
const OUTPUT_DEADLINE = 1_500

/** When the first signal came, performance.now(). */
let first: number | null = null
let heardFirst: () => void = () => undefined
const firstSignal = new Promise<void>((resolve) => (heardFirst = resolve))

export function listenForStop(): StopRequest {
  const controller = new AbortController()
  /** Signals that a wait has heard of and whose handler is still to run. */
  let heard = 0
  const count = (): void => {
    const now = performance.now()
    if (first === null) {
      first = now
      heardFirst()
    }
    if (now - first > SAME) endAtOnce()
    controller.abort()
  }
  const ignored = ignoredSignals()
  const signals = SIGNALS.filter((name) => !ignored.includes(name))
  for (const name of signals) {
    process.on(name, () => {
      if (heard > 0) heard--
      else count()
    })
  }
  onStopSignalInWait(signals, () => {
    heard++
    count()
  })
  return { signal: controller.signal, stop: () => controller.abort() }
}

/** Resolves when the reader of stdout has had its time: some after the first signal, never without one. */
export async function outputDeadline(): Promise<void> {
  await firstSignal
  const left = (first ?? 0) + OUTPUT_DEADLINE - performance.now()
  await new Promise((resolve) => setTimeout(resolve, left))
}

/** What nohup and shells have told this program to ignore. Node.js forgets it, so bin/ixy-ts has it looked up before. */
function ignoredSignals(): readonly string[] {
  const mask = parseInt(process.env['IXY_TS_SIGIGN']?.slice(-1) ?? '0', 16)
  return ['SIGHUP', 'SIGINT', 'SIGQUIT'].filter((_, bit) => ((mask >> bit) & 1) === 1)
}

/** Children and their sockets go when their channel to this process closes. */
function endAtOnce(): never {
  stopAtOnce()
  const { waiting } = dataOutlet()
  const output = waiting > 0 ? `, ${waiting} bytes of output were not read` : ''
  const error = new IxyError('IXY_ERR_STOP', `a second signal: ended at once, without a summary${output}`)
  stderr.writeNow(`ixy-ts: ${failureLine(error)}\n`)
  exitNow(error.exitCode)
}
