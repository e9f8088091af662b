import { onStopSignalInWait } from '../linux/poll.ts'

/** Ending on request: the first signal asks for a clean stop, the second ends the process at once with exit code 1. */
export interface StopRequest {
  readonly signal: AbortSignal
  /** Asks for a clean stop for another reason: nobody reads stdout any more. */
  stop(): void
}

/** SIGHUP counts as well: the terminal was closed, and a NIC must not be left doing DMA. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Milliseconds after the first signal in which others are taken for the same: timeout(1) sends its signal twice. */
const SAME = 500

export function listenForStop(): StopRequest {
  const controller = new AbortController()
  let first: number | null = null
  /** Signals that a wait has heard of and whose handler is still to run. */
  let heard = 0
  const count = (): void => {
    const now = performance.now()
    first ??= now
    // Children and their sockets go when their channel to this process closes.
    if (now - first > SAME) process.exit(1)
  }
  const onSignal = (): void => {
    if (heard > 0) heard--
    else count()
    controller.abort()
  }
  for (const name of SIGNALS) process.on(name, onSignal)
  onStopSignalInWait(() => {
    heard++
    count()
  })
  return { signal: controller.signal, stop: () => controller.abort() }
}
