import { drainEventFd } from '../linux/file.ts'
import { PollSet } from '../linux/poll.ts'
import type { PollMode } from './types.ts'

/** Empty polls in a row after which a worker sleeps. Adaptive: some 100 µs, longer than gaps between packets under load. */
const PATIENCE: Readonly<Record<PollMode, number>> = { poll: Infinity, interrupt: 1, adaptive: 2000 }
/** Longest sleep, milliseconds: orders of the main thread raise no interrupt. */
const LONGEST = 50

/**
 * Lets a worker sleep until a card reports packets (eventfds, see driver/ixgbe/interrupts.ts).
 *
 * No packet is overlooked: the eventfds are cleared first, then the rings are polled once more, then the worker
 * sleeps. A packet that arrives after that poll raises its interrupt after the eventfds were cleared.
 */
export class Sleeper {
  private readonly eventfds: readonly number[]
  private readonly set: PollSet
  private readonly patience: number
  private emptyPolls = 0

  constructor(eventfds: readonly number[], mode: PollMode) {
    this.eventfds = eventfds
    this.set = new PollSet(eventfds)
    this.patience = PATIENCE[mode]
  }

  /** Something was moved: stay awake. */
  busy(): void {
    this.emptyPolls = 0
  }

  /** A poll found nothing. `pending`: packets wait in transmit rings, whose end no interrupt tells. */
  idle(pending: boolean): void {
    this.emptyPolls++
    if (this.emptyPolls < this.patience) return
    if (this.emptyPolls === this.patience) {
      for (const eventfd of this.eventfds) drainEventFd(eventfd)
      return
    }
    if (this.set.wait(pending ? 1 : LONGEST) > 0) this.emptyPolls = 0
    // Woken by time: the next empty poll sleeps again.
    else this.emptyPolls = this.patience
  }
}
