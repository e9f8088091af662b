/**
 * A thread that ends a run when the main thread can't: it is stuck in a call or a loop and takes no signal, or a stop
 * takes longer than it may. It tells the workers to stop, takes the cards off the bus and ends the process.
 *
 * It is the second line. The first is that nothing the main thread does takes long.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { signalPipe } from '../linux/signal-pipe.ts'
import { MonotonicClock } from '../linux/monotonic.ts'
import { Thread } from '../threads.ts'
import { type Running, forget, remember } from './emergency.ts'

/** What the two threads share, as Int32. 1: there is nothing to watch any more. */
export const CLOSED = 0
/** 1: the main thread has heard that the run is to end. */
export const HEARD = 1

/** Milliseconds between two looks; in a run that may sleep. */
const EVERY = 50
const EVERY_IDLE = 500

export interface WatchdogSpec {
  readonly state: SharedArrayBuffer
  /** A Float64: when the process must have ended, milliseconds of MonotonicClock. */
  readonly deadline: SharedArrayBuffer
  /** See signal-pipe.ts. */
  readonly signalPipe: number | null
  /** Milliseconds between two looks. */
  readonly every: number
  /** Brings what has to be stopped, a Running each. */
  readonly port: MessagePort
}

export class Watchdog {
  private readonly state = new Int32Array(new SharedArrayBuffer(8))
  private readonly deadline = new Float64Array(new SharedArrayBuffer(8)).fill(Infinity)
  private readonly clock = new MonotonicClock()
  private readonly port: MessagePort
  private readonly thread: Thread
  private readonly guarded: Running[] = []

  /** `idle`: the run may sleep, so it is looked after less often. */
  constructor(idle: boolean) {
    const { port1, port2 } = new MessageChannel()
    this.port = port1
    port1.unref()
    const workerData: WatchdogSpec = {
      state: this.state.buffer as SharedArrayBuffer,
      deadline: this.deadline.buffer as SharedArrayBuffer,
      signalPipe: signalPipe()?.fd ?? null,
      port: port2,
      every: idle ? EVERY_IDLE : EVERY,
    }
    this.thread = new Thread('watchdog.cjs', workerData, [port2])
    // Without it everything works but the rescue.
    this.thread.worker.on('error', () => undefined)
    this.thread.worker.unref()
  }

  /** Adds something that has to be stopped if the run can't be ended in order. */
  guard(what: Running): void {
    this.guarded.push(what)
    remember(what)
    this.port.postMessage(what)
  }

  /** The process must have ended, or close() been called, in so many milliseconds. */
  expectEndWithin(milliseconds: number): void {
    this.deadline[0] = this.clock.now() + milliseconds
  }

  /** The main thread has heard that the run is to end, whether or not it has taken the signal yet. */
  heard(): void {
    Atomics.store(this.state, HEARD, 1)
  }

  /** All has been given back. Idempotent. */
  close(): void {
    for (const what of this.guarded.splice(0)) forget(what)
    Atomics.store(this.state, CLOSED, 1)
    Atomics.notify(this.state, CLOSED)
    this.port.close()
  }
}
