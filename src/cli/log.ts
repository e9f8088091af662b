/**
 * Logs: stderr, synchronous (a line is out before the process can die), pretty on a terminal, NDJSON otherwise.
 * Errors that end the program are not logged but written as one plain line, see failure.ts.
 */
import pino from 'pino'
import pretty from 'pino-pretty'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type Log = pino.Logger

const STDERR = 2

export function createLog(level: string, color: boolean): Log {
  const options = { level, base: { pid: process.pid } }
  if (process.stderr.isTTY) {
    return pino(
      options,
      pretty({
        destination: STDERR,
        sync: true,
        colorize: color,
        ignore: 'pid',
        translateTime: 'SYS:HH:MM:ss',
      }),
    )
  }
  const destination = pino.destination({ dest: STDERR, sync: true })
  // Whoever read our log has gone: that is no reason to stop forwarding.
  destination.on('error', () => undefined)
  return pino(options, destination)
}
