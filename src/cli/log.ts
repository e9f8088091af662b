/**
 * Logs: stderr, pretty on a terminal, NDJSON otherwise. Errors that end the program are not logged but written as one
 * plain line, see failure.ts.
 *
 * A stderr that nobody reads holds up nothing: lines wait in memory up to a limit; more are dropped and counted.
 */
import { type Logger, pino } from 'pino'
import { prettyFactory } from 'pino-pretty'
import { stderr } from './output/outlet.ts'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type Log = Logger

/** Bytes of log that may wait for whoever reads stderr. */
const BACKLOG = 1 << 20

export function createLog(level: string, color: boolean): Log {
  const pretty = stderr.terminal
    ? prettyFactory({ colorize: color, ignore: 'pid', translateTime: 'SYS:HH:MM:ss' })
    : (line: string) => line
  let dropped = 0
  const destination = {
    write(line: string): void {
      if (!stderr.offer(pretty(line), BACKLOG)) dropped++
    },
  }
  const log = pino({ level, base: { pid: process.pid } }, destination)
  stderr.onEmpty(() => {
    const lines = dropped
    dropped = 0
    if (lines > 0) log.warn(`${lines} log line${lines === 1 ? ' was' : 's were'} dropped: nobody read stderr`)
  })
  return log
}
