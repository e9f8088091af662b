/**
 * The loop that runs virtual NICs: it polls while there is something to do and sleeps when there is not.
 *
 * It runs on the main thread of its process and lets Node's event loop have a turn about every millisecond, so that
 * signals, timers and messages of a parent process are dealt with.
 */
import { currentCpu, giveWay, leaveCpu } from '../linux/affinity.ts'
import { WordSet } from '../linux/futex.ts'
import { type DeviceEnd, LONGEST, WAKE_ME } from '../linux/handover.ts'
import { PollSet } from '../linux/poll.ts'

/** What the loop needs of a NIC. */
export interface Pollable {
  /** Changes when fds() does, and handover. */
  readonly generation: number
  /** The host may hand over work without waking anybody. */
  readonly sharedDoorbells: boolean
  /** By which NIC and host let each other run; null: they don't. */
  readonly handover: DeviceEnd | null
  /** What gives it work is a host that rings `handover`, its own clock, or nothing; no descriptor does but for control. */
  readonly alone: boolean
  poll(now: number): number
  /** When frames last moved, on the clock of poll(); 0: never. */
  readonly lastMoved: number
  nextEvent(now: number): number
  fds(): number[]
  /** Called after sleeping. `ready`: some descriptor is, perhaps one of fds(). */
  wake(now: number, ready: boolean): void
}

/** Milliseconds between turns of the event loop. */
const SLICE = 1
/** Polls that find nothing until the loop asks itself whether it keeps a host from running. */
const SOON = 4
/** And until it asks again. */
const AGAIN = 64
/** How long the loop goes on looking after it had something to do, ms. */
const SPIN = 0.1
/**
 * For this long, ms, it then only naps between looks at a host that rings without a sound: that one may just have lost
 * its CPU (perhaps to this very loop), and a whole millisecond is long for a ring of 512 descriptors.
 */
const DOZE = 5
const NAP = 0.05
/** Longest sleep, ms: timers must have their turns, if for long there was nothing fewer of them. */
const LONG_SLEEP = 25
const LONGEST_SLEEP = 250
/**
 * Longest sleep while a host needs watching that doesn't call this thread, ms; and how it grows: by this share of the time without work, so that a
 * sleep never makes a pause much longer than it was already.
 */
const SHORT_SLEEP = 20
const SLEEP_SHARE = 1 / 20
/** Milliseconds after a host has come in which its messages count as work: it is about to ring. Later ones only ask for counters. */
const SETTLING = 1000

/**
 * Runs until `stop` is aborted. Rejects with whatever a NIC throws. Orders that come to this process by the descriptor `orders` end a
 * sleep, so that the event loop takes them; they are work.
 */
export async function runLoop(nics: readonly Pollable[], stop: AbortSignal, orders = NONE): Promise<void> {
  const loop = new PollLoop(nics, orders)
  while (!stop.aborted) {
    loop.turn(performance.now() + SLICE)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** No descriptor: never ready. */
const NONE = -1
/** Nobody ever writes here. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** The loop between two turns of the event loop, and where it sleeps: the descriptors and words that wake it, made anew when they have changed. */
export class PollLoop {
  private readonly nics: readonly Pollable[]
  private readonly orders: number
  private generation = -1
  /** When a host last came or went, and when orders last came. */
  private changed = 0
  private ordered = 0
  private set = new PollSet([])
  private handovers: readonly DeviceEnd[] = []
  private words = new WordSet([], WAKE_ME)
  private idleSince: number
  /** Polls in a row that have found nothing. */
  private empty = 0
  /** About to hand over: the hosts have been told, and the NICs are polled once more. */
  private armed = false
  /** About to sleep for long: the same. */
  private rests = false

  constructor(nics: readonly Pollable[], orders: number, idleSince = performance.now()) {
    this.nics = nics
    this.orders = orders
    this.idleSince = idleSince
  }

  /** Polls until `end`, on the clock of performance.now(), or until it has slept. */
  turn(end: number): void {
    // The scheduler moves threads that are never idle, too, and a host that takes this one for a neighbour of its CPU sleeps.
    this.makeRoom()
    let now = performance.now()
    while (now < end) {
      let work = 0
      for (const nic of this.nics) work += nic.poll(now)
      now = performance.now()
      if (work > 0) {
        this.disarm()
        this.idleSince = now
        this.empty = 0
      } else if (this.armed) {
        this.handOver(now)
        now = performance.now()
      } else if (++this.empty % AGAIN === SOON && now - this.idleSince < DOZE && this.makeRoom()) {
        if (giveWay(false)) this.empty = 0
        else this.arm()
        now = performance.now()
      } else if (now - this.idleSince > SPIN && this.sleep(now, now - this.quietSince())) return
    }
  }

  /** Since when no frame has moved and no order come. Messages have been dealt with until `idleSince`. */
  private quietSince(): number {
    this.look()
    let since = Math.max(this.ordered, Math.min(this.idleSince, this.changed + SETTLING))
    for (const { lastMoved } of this.nics) since = Math.max(since, lastMoved)
    return since
  }

  /** Returns true if a host is on the same CPU and would go on if it could. */
  private announce(): boolean {
    this.look()
    if (this.handovers.length === 0) return false
    const cpu = currentCpu()
    let keeps = false
    for (const handover of this.handovers) if (handover.announce(cpu)) keeps = true
    return keeps
  }

  private arm(): void {
    this.armed = true
    for (const handover of this.handovers) handover.arm()
  }

  /** Tells hosts where this thread runs, and goes elsewhere if it keeps one from running and can. Returns true if it still does. */
  private makeRoom(): boolean {
    if (!this.announce()) return false
    return !leaveCpu() || this.announce()
  }

  private disarm(): void {
    if (!this.armed && !this.rests) return
    this.armed = this.rests = false
    for (const handover of this.handovers) handover.rise()
  }

  /** Sleeps until a host rings or something is due, or for LONGEST; if something else may come, only for a nap. */
  private handOver(now: number): void {
    let limit = LONGEST
    for (const nic of this.nics) limit = Math.min(limit, nic.alone ? LONGEST : NAP, nic.nextEvent(now) - now)
    if (limit > 0) this.words.wait(limit)
    this.disarm()
  }

  /**
   * Sleeps until something arrives or is due; only naps if there was work less than DOZE ago and a host needs watching. First it only
   * says that it is about to, and the NICs are polled once more. `idle`: milliseconds without work. Returns false if it did not sleep.
   */
  private sleep(now: number, idle: number): boolean {
    let limit = Math.min(LONGEST_SLEEP, Math.max(LONG_SLEEP, idle * SLEEP_SHARE))
    let silent = false
    let calls = true
    this.look()
    for (const nic of this.nics) {
      silent ||= nic.sharedDoorbells
      calls &&= nic.handover?.heard === true || !nic.sharedDoorbells
      limit = Math.min(limit, nic.nextEvent(now) - now)
    }
    if (silent && idle < DOZE) {
      if (limit > 2 * NAP && this.nics.every(({ alone }) => alone)) this.arm()
      else if (limit > 2 * NAP) Atomics.wait(NEVER, 0, 0, NAP)
      return false
    }
    if (!calls) limit = Math.min(limit, SHORT_SLEEP, Math.max(1, idle * SLEEP_SHARE))
    const time = Math.floor(limit)
    if (time <= 0) return false
    if (!this.rests) {
      this.rests = true
      for (const handover of this.handovers) handover.rest()
      return false
    }
    const ready = this.set.wait(time) > 0
    this.disarm()
    const woken = performance.now()
    if (ready && this.set.events(0) !== 0) this.ordered = woken
    for (const nic of this.nics) nic.wake(woken, ready)
    return true
  }

  private look(): void {
    let generation = 0
    for (const { generation: own, sharedDoorbells } of this.nics)
      generation += 2 * own + (sharedDoorbells ? 1 : 0)
    if (generation === this.generation) return
    this.generation = generation
    this.changed = performance.now()
    this.set = new PollSet([this.orders, ...this.nics.flatMap((nic) => nic.fds())])
    this.handovers = this.nics.flatMap(({ handover }) => handover ?? [])
    this.words = new WordSet(
      this.handovers.map(({ bed }) => bed),
      WAKE_ME,
    )
  }
}
