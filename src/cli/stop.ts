/** Ending on request: the first signal asks for a clean stop, the second ends the process at once with exit code 1. */
export interface StopRequest {
  readonly signal: AbortSignal
  /** Asks for a clean stop for another reason: nobody reads stdout any more. */
  stop(): void
}

/** SIGHUP counts as well: the terminal was closed, and a NIC must not be left doing DMA. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export function listenForStop(): StopRequest {
  const controller = new AbortController()
  const onSignal = (): void => {
    // Children and their sockets go when their channel to this process closes.
    if (controller.signal.aborted) process.exit(1)
    controller.abort()
  }
  for (const name of SIGNALS) process.on(name, onSignal)
  return { signal: controller.signal, stop: () => controller.abort() }
}
