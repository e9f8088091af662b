/** Which signals ask this program to end. */

/** SIGHUP: the terminal was closed, and a NIC must not be left doing DMA. SIGQUIT: Ctrl-\. */
const ALL = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const

/**
 * Without those that nohup or a shell has told this program to ignore. Node.js forgets it, so bin/ixy-ts has it looked up
 * before: IXY_TS_SIGIGN is SigIgn of /proc/self/status, in which signal 1 is the last bit.
 */
export function stopSignals(): NodeJS.Signals[] {
  const mask = parseInt(process.env['IXY_TS_SIGIGN']?.slice(-1) ?? '0', 16)
  return ALL.filter((name, bit) => name === 'SIGTERM' || ((mask >> bit) & 1) === 0)
}
