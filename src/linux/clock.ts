/** Waiting on the main thread. */

const never = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the calling thread. For waits during set-up; nothing else of this thread runs meanwhile. */
export function sleepMilliseconds(milliseconds: number): void {
  Atomics.wait(never, 0, 0, milliseconds)
}

/**
 * Blocks the calling thread until `done()` is true; false if it isn't after `deadline` milliseconds. It is asked once more behind the
 * deadline: this process may have stood still, as when its machine was suspended, and what it waits for has not.
 */
export function pollUntil(done: () => boolean, deadline: number, every = 1): boolean {
  const until = performance.now() + deadline
  for (;;) {
    const isLast = performance.now() > until
    if (done()) return true
    if (isLast) return false
    sleepMilliseconds(every)
  }
}
