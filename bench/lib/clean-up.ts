/** What a part of the benchmark has started and made is ended and removed whatever happens, and when it is told to stop. */
import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs `work`, then `tidy`, once: also if the work fails, and at a signal, which then ends the process. */
export async function tidied<Result>(
  work: () => Promise<Result>,
  tidy: () => Promise<void>,
): Promise<Result> {
  let tidying: Promise<void> | undefined
  const once = (): Promise<void> => (tidying ??= tidy())
  const stop = (signal: (typeof SIGNALS)[number]): void => {
    once()
      .catch((error: unknown) => {
        console.error(error)
      })
      .finally(() => process.exit(128 + constants.signals[signal]))
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  try {
    return await work()
  } catch (error) {
    // What a signal has interrupted fails; the signal's own end is under way.
    if (tidying !== undefined) return await new Promise<never>(() => undefined)
    throw error
  } finally {
    await once()
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}
