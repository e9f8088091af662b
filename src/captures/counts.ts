/**
 * What becomes of the packets of a capture, in memory that its threads share: each worker counts its own, the main thread
 * adds what the card has missed, and whoever writes the capture reads them all.
 */

/** Slots of a worker, as many as a cache line holds. */
const PER_QUEUE = 8
/** Of the whole, in the first line. */
const MISSED = 0

/** Slots of a worker's counts. */
export const Count = {
  RECEIVED: 0,
  /** Handed on to be written, or shown. */
  TAKEN: 1,
  /** Refused by the filter. */
  FILTERED_OUT: 2,
  /** No room: what takes them is too slow. */
  DROPPED: 3,
  /** Came after the capture was complete. */
  AFTER_END: 4,
} as const

export interface CaptureTotals {
  readonly received: number
  readonly filteredOut: number
  readonly taken: number
  readonly dropped: number
  readonly afterEnd: number
  /** By the card and the driver, before anybody could receive them; null as long as nobody knows. */
  readonly missed: number | null
}

export class CaptureCounts {
  readonly queues: number
  private readonly slots: Float64Array

  static allocate(queues: number): SharedArrayBuffer {
    const memory = new SharedArrayBuffer((queues + 1) * PER_QUEUE * 8)
    new Float64Array(memory)[MISSED] = NaN
    return memory
  }

  constructor(memory: SharedArrayBuffer) {
    this.slots = new Float64Array(memory)
    this.queues = this.slots.length / PER_QUEUE - 1
  }

  /** The counts of one worker, which alone writes them. */
  ofQueue(queue: number): Float64Array {
    return this.slots.subarray((queue + 1) * PER_QUEUE, (queue + 2) * PER_QUEUE)
  }

  setMissed(packets: number): void {
    this.slots[MISSED] = packets
  }

  totals(): CaptureTotals {
    const sum = (count: number): number => {
      let total = 0
      for (let queue = 1; queue <= this.queues; queue++) total += this.slots[queue * PER_QUEUE + count]
      return total
    }
    return {
      received: sum(Count.RECEIVED),
      filteredOut: sum(Count.FILTERED_OUT),
      taken: sum(Count.TAKEN),
      dropped: sum(Count.DROPPED),
      afterEnd: sum(Count.AFTER_END),
      missed: Number.isNaN(this.slots[MISSED]) ? null : this.slots[MISSED],
    }
  }
}
