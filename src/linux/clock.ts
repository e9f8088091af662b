/** Waiting on the main thread. */

const never = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the calling thread. For waits during set-up; nothing else of this thread runs meanwhile. */
export function sleepMilliseconds(milliseconds: number): void {
  Atomics.wait(never, 0, 0, milliseconds)
}
