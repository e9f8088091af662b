/** Runs one trial after the other, from the main thread's side, and counts what has become of its frames. */
import { randomInt } from 'node:crypto'
import type { DroppedBy } from '../../engine/app.ts'
import { sleep } from '../../engine/wait.ts'
import { type Latency, latencyOf } from '../pktgen/latency.ts'
import {
  BEGUN,
  type Board,
  COUNT,
  ENDED,
  HALT,
  KEY,
  LANES,
  LAST_BACK,
  RATE,
  SENT,
  SENT_ALL,
  SILENT_FROM,
  SILENT_UNTIL,
  SIZE,
  TRIAL,
} from './board.ts'

export interface TrialOrder {
  /** Index of the frame size. */
  readonly size: number
  /** Frames per second of each lane. */
  readonly load: number
  /** Frames of each lane. */
  readonly count: number
  /** Which lanes send, a bit each. */
  readonly lanes: number
}

/** What has become of a trial's frames, of all lanes together. */
export interface TrialCounts {
  readonly sent: number
  /** Came through intact, each counted once. */
  readonly received: number
  /** `sent` - `received` */
  readonly lost: number
  readonly duplicated: number
  readonly damaged: number
  /** Whatever else came in meanwhile. */
  readonly foreign: number
  /** Frames per second of each lane as they were sent; of the slower lane, if they differ. */
  readonly offered: number
  /** Seconds that they were sent for. */
  readonly seconds: number
  /** Frames that this end has dropped, by cause: the device under test has delivered them, or never got them. */
  readonly droppedHere: Readonly<Record<string, number>>
  /** Of those received, microseconds. */
  readonly latency: Latency | null
  /** The longest time in which nothing came through, seconds. */
  readonly silence: number
}

/** Milliseconds between two looks. */
const LOOK_EVERY = 5
/** How much longer than planned sending may take, as a factor and in milliseconds: then the rest isn't sent. */
const PATIENCE = { factor: 1.5, more: 1_000 }

/** Slow enough for whatever learns, and milliseconds that it may take for that. */
const LEARNING = { count: 3, load: 100, lanes: 3 }
const SETTLED = 50

/** What isn't the device's doing. */
const DROPPED_HERE = [
  'missed',
  'no_descriptor',
  'pool_empty',
  'kernel_dropped',
  'tx_refused',
  'tx_invalid',
  'rx_buffered',
] as const

export class Stopped extends Error {}

export class Bench {
  private readonly board: Board
  private readonly dropped: () => readonly DroppedBy[]
  private readonly drain: number
  private readonly stop: AbortSignal

  /** `drain`: seconds to wait for frames that are still under way. A trial that is under way when `stop` is aborted throws Stopped. */
  constructor(board: Board, dropped: () => readonly DroppedBy[], drain: number, stop: AbortSignal) {
    this.board = board
    this.dropped = dropped
    this.drain = drain
    this.stop = stop
  }

  /** One trial, from its first frame to the last that came back in time. */
  async run(
    order: TrialOrder,
    whileSending: () => Promise<void> = () => Promise.resolve(),
  ): Promise<TrialCounts> {
    const before = this.dropped()
    const trial = this.begin(order)
    await whileSending()
    await this.untilSent(trial, order)
    const until = performance.now() + this.drain * 1000
    while (performance.now() < until && !this.isComplete()) await this.pause(LOOK_EVERY)
    return this.count(order, before, this.dropped())
  }

  /** Some frames out of each device, so that bridges between them learn where its address is (RFC 2544 §23). */
  async learn(size: number): Promise<void> {
    const order = { ...LEARNING, size }
    await this.untilSent(this.begin(order), order)
    await this.pause(SETTLED)
  }

  private begin({ size, load, count, lanes }: TrialOrder): number {
    const { words, order, books } = this.board
    for (const { fields, histogram } of books) {
      fields.fill(0)
      histogram.counts.fill(0)
    }
    const trial = words[TRIAL] + 1
    order[RATE] = load
    order[COUNT] = count
    order[SIZE] = size
    order[LANES] = lanes
    // Its upper byte, which tells trials from each other, differs from that of the last trials, and of the other lane.
    order[KEY] = ((1 + ((trial * 2) % 254)) << 24) | randomInt(2 ** 24 - 1)
    Atomics.store(words, TRIAL, trial)
    return trial
  }

  private async untilSent(trial: number, { count, load }: TrialOrder): Promise<void> {
    const deadline = performance.now() + (count / load) * 1000 * PATIENCE.factor + PATIENCE.more
    while (Atomics.load(this.board.words, SENT_ALL) !== trial) {
      if (performance.now() > deadline) this.halt()
      await this.pause(LOOK_EVERY)
    }
  }

  /** Seconds of the longest time in which nothing came through, up to now, and since its end. null: there was none. */
  outage(): { readonly seconds: number; readonly ago: number } | null {
    const longest = this.board.lanes
      .map((counts) => ({ from: counts[SILENT_FROM], until: counts[SILENT_UNTIL], last: counts[LAST_BACK] }))
      .sort((a, b) => b.until - b.from - (a.until - a.from))[0]
    const seconds = (longest.until - longest.from) / 1000
    return seconds === 0 ? null : { seconds, ago: (longest.last - longest.until) / 1000 }
  }

  /** Ends the sending of the trial that is under way. */
  halt(): void {
    const { words } = this.board
    Atomics.store(words, HALT, words[TRIAL])
  }

  /** Waits, and throws Stopped if there is no more to be waited for. */
  async pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, this.stop)
    if (this.stop.aborted) throw new Stopped()
  }

  private isComplete(): boolean {
    const { lanes, books } = this.board
    return lanes.every((counts, i) => (latencyOf([books[i]])?.returned ?? 0) === counts[SENT])
  }

  private count(order: TrialOrder, before: readonly DroppedBy[], after: readonly DroppedBy[]): TrialCounts {
    const { lanes, books } = this.board
    const sending = lanes.filter((_, i) => (order.lanes & (1 << i)) !== 0)
    const sent = sending.reduce((sum, counts) => sum + counts[SENT], 0)
    const latency = latencyOf(books)
    const received = latency?.returned ?? 0
    const rates = sending.map((counts) => {
      const seconds = (counts[ENDED] - counts[BEGUN]) / 1000
      // From the first frame to the last there is one frame's time less.
      return seconds > 0 ? Math.min(order.load, (counts[SENT] - 1) / seconds) : order.load
    })
    return {
      sent,
      received,
      lost: sent - received,
      duplicated: latency?.duplicated ?? 0,
      damaged: latency?.damaged ?? 0,
      foreign: latency?.foreign ?? 0,
      offered: Math.max(0, Math.min(...rates)),
      seconds: Math.max(...sending.map((counts) => (counts[ENDED] - counts[BEGUN]) / 1000)),
      droppedHere: droppedBetween(before, after),
      latency: received > 0 ? latency : null,
      silence: Math.max(...sending.map((counts) => (counts[SILENT_UNTIL] - counts[SILENT_FROM]) / 1000)),
    }
  }
}

function droppedBetween(before: readonly DroppedBy[], after: readonly DroppedBy[]): Record<string, number> {
  const total = (devices: readonly DroppedBy[], cause: string): number =>
    devices.filter(({ queue }) => queue === null).reduce((sum, { dropped }) => sum + (dropped[cause] ?? 0), 0)
  return Object.fromEntries(
    DROPPED_HERE.map((cause) => [cause, total(after, cause) - total(before, cause)] as const).filter(
      ([, frames]) => frames > 0,
    ),
  )
}
