import { cpusAreScarce, giveWay, leaveCpu, yieldCpu } from '../linux/affinity.ts'
import { sleepMilliseconds } from '../linux/clock.ts'
import { drainEventFd } from '../linux/file.ts'
import { PollSet } from '../linux/poll.ts'
import { DriverEnd } from '../linux/handover.ts'
import type { QueueSpec } from '../driver/device.ts'
import type { PollMode } from './types.ts'

/**
 * Empty polls in a row after which a worker does something else than poll. Adaptive: some 100 µs, longer than gaps
 * between packets under load.
 */
const PATIENCE: Readonly<Record<PollMode, number>> = { poll: 2000, interrupt: 1, adaptive: 2000 }
/** Empty polls in a row after which it asks itself whether it keeps a device from running. */
const SOON = 32
/** Polls that have found something until it tells devices again on which CPU it is, less one: a mask. */
const TELL_EVERY = 1023
/** A poll by a system call takes so many times as long as one of a ring in memory. */
const COSTLY = 16
/** Longest sleep, milliseconds: orders of the main thread raise no interrupt. */
const LONGEST = 200
/** These in a rehearsal. */
const HURRIED = { patience: 48, longest: 0, tellEvery: 15 }
/** How long a lazy one sleeps that would poll on, milliseconds. */
const NAP = 1

/** What a worker can wait for at a queue. */
export type Waited = Pick<QueueSpec, 'interrupt' | 'interruptStays' | 'handover'>

/**
 * What a worker does that finds nothing to do: sleeps until a card reports packets (the eventfd
 * of its queue, QueueSpec.interrupt), or, in mode `poll`, offers its CPU to whoever waits for it, and goes on. On a CPU of its
 * own that changes nothing; on a shared one, what it waits for may be what it keeps from running. Where more threads want to run than
 * there are CPUs, it sleeps in mode `poll` as well, until its devices have done something (linux/handover.ts).
 *
 * No packet is overlooked: the eventfds are cleared first, then the rings are polled once more, then the worker
 * sleeps. A packet that arrives after that poll raises its interrupt after the eventfds were cleared.
 */
export class Sleeper {
  /** To be cleared; those that clear themselves are not among them. */
  private readonly eventfds: readonly number[]
  private readonly set: PollSet
  private readonly patience: number
  private readonly longest: number
  private readonly tellEvery: number
  private readonly sleeps: boolean
  private readonly handover: DriverEnd | null
  /** All devices wake it, so it may sleep until one does. */
  private readonly handsOver: boolean
  /** Something was moved that the devices may not know of. */
  private owes = true
  private lazy = false
  private emptyPolls = 0
  /** Modulo 2^32. */
  private usefulPolls = 0
  /** Polls that have found nothing, modulo 2^32. */
  idlePolls = 0

  /** `hurries`: in a rehearsal, it comes sooner to each of the things it does. */
  constructor(queues: readonly Waited[], mode: PollMode, hurries = false) {
    const interrupts = queues.flatMap(({ interrupt, interruptStays = false }) =>
      interrupt === null ? [] : [{ interrupt, interruptStays }],
    )
    this.eventfds = interrupts.flatMap(({ interrupt, interruptStays }) => (interruptStays ? [] : [interrupt]))
    this.set = new PollSet(interrupts.map(({ interrupt }) => interrupt))
    // Where packets wait in the kernel, a poll asks it.
    const costly = queues.some(({ interruptStays }) => interruptStays === true)
    const patience = costly ? Math.ceil(PATIENCE[mode] / COSTLY) : PATIENCE[mode]
    this.patience = hurries ? Math.min(patience, HURRIED.patience) : patience
    this.longest = hurries ? HURRIED.longest : LONGEST
    this.tellEvery = hurries ? HURRIED.tellEvery : TELL_EVERY
    this.sleeps = mode !== 'poll'
    const handovers = queues.flatMap(({ handover }) => handover ?? [])
    this.handover = handovers.length === 0 ? null : new DriverEnd(handovers)
    this.handsOver = handovers.length === queues.length && mode !== 'interrupt'
  }

  /** Nothing is in a hurry any more: in mode `poll` too, it sleeps for a moment whenever its patience is at an end. */
  beLazy(): void {
    this.lazy = true
  }

  /** Something was moved: stay awake. */
  busy(): void {
    this.emptyPolls = 0
    this.owes = true
    this.usefulPolls = (this.usefulPolls + 1) | 0
    if ((this.usefulPolls & this.tellEvery) === 0) this.handover?.announce()
  }

  /**
   * A poll found nothing. `pending` tells how many packets wait in transmit rings, whose end no interrupt tells;
   * `beforeSleep` is called before each sleep.
   */
  idle(pending: () => number, beforeSleep: () => void): void {
    this.emptyPolls++
    this.idlePolls = (this.idlePolls + 1) | 0
    if (this.handover !== null && this.handOver(this.handover)) return
    if (this.emptyPolls < this.patience) return
    if (!this.sleeps && this.lazy) {
      this.emptyPolls = this.patience
      beforeSleep()
      sleepMilliseconds(NAP)
      return
    }
    if (!this.sleeps) {
      this.emptyPolls = 0
      // Who yields pays for it: Linux takes the time that was left to it.
      if (this.handsOver && this.handover !== null && cpusAreScarce()) this.handover.arm()
      else yieldCpu()
      return
    }
    if (this.emptyPolls === this.patience) {
      for (const eventfd of this.eventfds) drainEventFd(eventfd)
      return
    }
    beforeSleep()
    if (this.set.wait(pending() > 0 ? 1 : this.longest) > 0) this.emptyPolls = 0
    // Woken by time: the next empty poll sleeps again.
    else this.emptyPolls = this.patience
  }

  /** Lets devices run that can't while this thread does, and wakes those that sleep. Returns true if it has, by yielding or sleeping, or is about to. */
  private handOver(handover: DriverEnd): boolean {
    const { emptyPolls } = this
    if (this.owes) {
      this.owes = false
      handover.disarm()
      handover.ring()
    }
    if (handover.armed) {
      const woken = handover.sleep()
      // Nothing has come: on to whatever else there is to wait for.
      this.emptyPolls = woken || !this.sleeps ? 0 : this.patience - 1
      return true
    }
    if (!this.handsOver || emptyPolls >= this.patience) return false
    // Whether a device gets on is no ground to sleep: under load one poll of a virtual NIC takes longer than any wait worth it.
    if ((emptyPolls !== SOON && emptyPolls !== 2 * SOON) || !handover.announce()) return false
    if (leaveCpu()) handover.announce()
    // If that was of no use, it sleeps the next time.
    else if (emptyPolls !== SOON || !giveWay(true)) handover.arm()
    return true
  }
}
