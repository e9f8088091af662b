/** The entry of the watchdog's thread, see watchdog.ts. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { writeSync } from 'node:fs'
import { exitNow } from '../linux/exit.ts'
import { MonotonicClock } from '../linux/monotonic.ts'
import { POLLERR, POLLHUP, POLLOUT, PollSet } from '../linux/poll.ts'
import { bytesToRead } from '../linux/signal-pipe.ts'
import { type Running, remember, stopAtOnce } from './emergency.ts'
import { CLOSED, HEARD, type WatchdogSpec } from './watchdog.ts'

/** Milliseconds between two looks. */
const EVERY = 50
/** So many looks in a row may find a signal that the main thread hasn't taken. */
const PATIENCE = 25
/** So many may find it too late: after a SIGSTOP the time is over before anybody could have ended. */
const GRACE = 3
/** Milliseconds that workers get to empty their rings. */
const DRAIN = 100
const STDERR = 2

const { state, deadline, signalPipe, port } = workerData as WatchdogSpec
const words = new Int32Array(state)
const due = new Float64Array(deadline)
const clock = new MonotonicClock()

const pending = (): number => (signalPipe === null ? 0 : bytesToRead(signalPipe))
/** What was in the pipe before any signal: the one by which the pipe was found. */
let known = pending()
let untaken = 0
let late = 0
while (Atomics.wait(words, CLOSED, 0, EVERY) === 'timed-out') {
  for (;;) {
    const received = receiveMessageOnPort(port) as { message: Running } | undefined
    if (received === undefined) break
    remember(received.message)
  }
  const bytes = pending()
  if (bytes < known) known = 0
  untaken = bytes > known && Atomics.load(words, HEARD) === 0 ? untaken + 1 : 0
  if (untaken > PATIENCE) rescue('the main thread takes no signal')
  late = clock.now() > due[0] ? late + 1 : 0
  if (late > GRACE) rescue('the end of the run took too long')
}

function rescue(why: string): never {
  stopAtOnce()
  Atomics.wait(words, CLOSED, 0, DRAIN)
  const line = `ixy-ts: ${why}: ended without a summary; if no disk and no device hangs, please report it [IXY_ERR_STOP]\n`
  const stderr = new PollSet([STDERR], POLLOUT)
  if (stderr.wait(0) === 1 && (stderr.events(0) & (POLLERR | POLLHUP)) === 0) writeSync(STDERR, line)
  exitNow(1)
}
