/** Waiting for QEMU, which works at the same time in a process of its own. */
import { sleepMilliseconds } from '../../src/linux/clock.ts'

const DEADLINE = 10_000

/** What `look` finds: asked until it is not null. Throws when QEMU takes too long. */
export function eventually<T>(look: () => T | null): T {
  const deadline = performance.now() + DEADLINE
  while (true) {
    const found = look()
    if (found !== null) return found
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE / 1000} s: ${look.toString()}`)
    sleepMilliseconds(0.2)
  }
}
