/**
 * The loop that runs virtual NICs: it polls while there is something to do and sleeps when there is not.
 *
 * It runs on the main thread of its process and lets Node's event loop have a turn about every millisecond, so that
 * signals, timers and messages of a parent process are dealt with.
 */
import { PollSet } from '../linux/poll.ts'

/** What the loop needs of a NIC. */
export interface Pollable {
  /** Changes when fds() does. */
  readonly generation: number
  /** The host may hand over work without waking anybody. */
  readonly sharedDoorbells: boolean
  poll(now: number): number
  nextEvent(now: number): number
  fds(): number[]
  /** Called after sleeping. */
  wake(): void
}

/** Milliseconds between turns of the event loop. */
const SLICE = 1
/** How long the loop goes on looking after it had something to do, ms. */
const SPIN = 0.1
/**
 * For this long, ms, it then only naps between looks at a host that rings without a sound: that one may just have lost
 * its CPU (perhaps to this very loop), and a whole millisecond is long for a ring of 512 descriptors.
 */
const DOZE = 5
const NAP = 0.05
/** Longest sleep, ms: the event loop must have its turns. */
const LONG_SLEEP = 25
/**
 * Longest sleep while a host needs watching, ms; and how it grows: by this share of the time without work, so that a
 * sleep never makes a pause much longer than it was already.
 */
const SHORT_SLEEP = 10
const SLEEP_SHARE = 1 / 20

/** Runs until `stop` is aborted. Rejects with whatever a NIC throws. */
export async function runLoop(nics: readonly Pollable[], stop: AbortSignal): Promise<void> {
  const bed = new Bed(nics)
  let idleSince = performance.now()
  while (!stop.aborted) {
    const end = performance.now() + SLICE
    let now = end - SLICE
    while (now < end) {
      let work = 0
      for (const nic of nics) work += nic.poll(now)
      now = performance.now()
      if (work > 0) idleSince = now
      else if (now - idleSince > SPIN) {
        if (bed.sleep(now, now - idleSince)) break
      }
    }
    await eventLoopTurn()
  }
}

/** Nobody ever writes here. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))

function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Where the loop sleeps: the set of descriptors that wake it, made anew when it has changed. */
class Bed {
  private readonly nics: readonly Pollable[]
  private generation = -1
  private set = new PollSet([])

  constructor(nics: readonly Pollable[]) {
    this.nics = nics
  }

  /**
   * Sleeps until something arrives or is due; only naps if there was work less than DOZE ago and a host needs watching.
   * `idle`: milliseconds without work. Returns false if it did not sleep.
   */
  sleep(now: number, idle: number): boolean {
    let generation = 0
    let limit = LONG_SLEEP
    let silent = false
    for (const nic of this.nics) {
      generation += nic.generation
      silent ||= nic.sharedDoorbells
      limit = Math.min(limit, nic.nextEvent(now) - now)
    }
    if (silent && idle < DOZE) {
      if (limit > 2 * NAP) Atomics.wait(NEVER, 0, 0, NAP)
      return false
    }
    if (silent) limit = Math.min(limit, SHORT_SLEEP, Math.max(1, idle * SLEEP_SHARE))
    const time = Math.floor(limit)
    if (time <= 0) return false
    if (generation !== this.generation) {
      this.generation = generation
      this.set = new PollSet(this.nics.flatMap((nic) => nic.fds()))
    }
    this.set.wait(time)
    for (const nic of this.nics) nic.wake()
    return true
  }
}
