/** The entry of the watchdog's thread, see watchdog.ts. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { writeSync } from 'node:fs'
import { constants } from 'node:os'
import { exitNow } from '../linux/exit.ts'
import { MonotonicClock } from '../linux/monotonic.ts'
import { POLLERR, POLLHUP, POLLOUT, PollSet } from '../linux/poll.ts'
import { stopSignals } from '../linux/stop-signals.ts'
import { SignalPipe } from '../linux/signal-pipe.ts'
import { tellLoaded } from '../threads.ts'
import { type Running, remember, stopAtOnce } from './emergency.ts'
import { CLOSED, HEARD, type WatchdogSpec } from './watchdog.ts'

const STOPS = new Set<number>(stopSignals().map((name) => constants.signals[name]))
/** Milliseconds that workers get to empty their rings. */
const DRAIN = 100
const STDERR = 2

const { state, deadline, signalPipe, port, every } = workerData as WatchdogSpec
/** So many looks in a row may find a signal that the main thread hasn't taken. */
const PATIENCE = Math.floor(1_250 / every)
const NUDGE_EVERY = Math.max(2, Math.round(200 / every))
/** So many may find it too late: after a SIGSTOP the time is over before anybody could have ended. */
const GRACE = Math.max(1, Math.round(150 / every))
const words = new Int32Array(state)
const due = new Float64Array(deadline)
const clock = new MonotonicClock()
const pipe = signalPipe === null ? null : new SignalPipe(signalPipe)
tellLoaded()

/** Looks in a row that have found a signal which the main thread has not taken, nor heard of in a wait. */
let untaken = 0
let late = 0
while (Atomics.wait(words, CLOSED, 0, every) === 'timed-out') {
  for (;;) {
    const received = receiveMessageOnPort(port) as { message: Running } | undefined
    if (received === undefined) break
    remember(received.message)
  }
  const asked = pipe !== null && pipe.pending().some((signal) => STOPS.has(signal))
  untaken = asked && Atomics.load(words, HEARD) === 0 ? untaken + 1 : 0
  if (untaken % NUDGE_EVERY === 1) nudge()
  if (untaken > PATIENCE) rescue('the main thread takes no signal')
  late = clock.now() > due[0] ? late + 1 : 0
  if (late > GRACE) rescue('the end of the run took too long')
}

/** A signal that came just before the main thread began to wait does not end that wait; this one does. */
function nudge(): void {
  try {
    process.kill(process.pid, 'SIGUSR2')
  } catch {
    // A confined process may not.
  }
}

function rescue(why: string): never {
  stopAtOnce()
  Atomics.wait(words, CLOSED, 0, DRAIN)
  const line = `ixy-ts: ${why}: ended without a summary; if no disk and no device hangs, please report it [IXY_ERR_STOP]\n`
  const stderr = new PollSet([STDERR], POLLOUT)
  if (stderr.wait(0) === 1 && (stderr.events(0) & (POLLERR | POLLHUP)) === 0) writeSync(STDERR, line)
  exitNow(1)
}
