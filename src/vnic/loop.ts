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
/** How long the loop goes on looking before it sleeps, ms: falling asleep and waking costs more than a pause this long. */
const SPIN = 0.2
/** Longest sleep, ms: with nothing to wake it, and with a host that rings without a sound. */
const LONG_SLEEP = 10
const SHORT_SLEEP = 1

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
        bed.sleep(now)
        break
      }
    }
    await eventLoopTurn()
  }
}

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

  /** Sleeps until something arrives or is due; not at all if something is due within a millisecond. */
  sleep(now: number): void {
    let generation = 0
    let limit = LONG_SLEEP
    for (const nic of this.nics) {
      generation += nic.generation
      limit = Math.min(limit, nic.sharedDoorbells ? SHORT_SLEEP : LONG_SLEEP, nic.nextEvent(now) - now)
    }
    const time = Math.floor(limit)
    if (time <= 0) return
    if (generation !== this.generation) {
      this.generation = generation
      this.set = new PollSet(this.nics.flatMap((nic) => nic.fds()))
    }
    this.set.wait(time)
    for (const nic of this.nics) nic.wake()
  }
}
