/** The end of the process that nothing can delay. */
import { declare } from './libc.ts'

const libcExit = declare<(status: number) => number>('int _exit(int status)')

/**
 * Ends the process at once, from any thread, whatever other threads are blocked in. process.exit() waits for writes that
 * are under way, which may be for ever, and Node.js 20 aborts in it when the terminal has gone. No exit handler runs.
 */
export function exitNow(code: number): never {
  libcExit(code)
  throw new Error('_exit returned')
}
