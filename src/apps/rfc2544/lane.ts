/** One direction through the device under test, from the worker's side. */
import type { AppPort } from '../../engine/app.ts'
import type { MonotonicClock } from '../../linux/monotonic.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { Pacer } from '../../packet/pacer.ts'
import type { FramePlan } from '../pktgen/templates/frame-plan.ts'
import { GeneratedFrames } from '../pktgen/frame-source.ts'
import { type LatencyBook, RETURNED } from '../pktgen/latency.ts'
import { LatencyProbe } from '../pktgen/latency-probe.ts'
import { probeLayoutOf } from '../pktgen/probe-layout.ts'
import { DEFAULT_TEMPLATE } from '../../packet/template.ts'
import { BEGUN, ENDED, LAST_BACK, type LaneCounts, SENT, SILENT_FROM, SILENT_UNTIL } from './board.ts'

/** What of a trial concerns a lane. */
export interface LaneOrder {
  /** Frames per second. */
  readonly rate: number
  readonly count: number
  /** Of the size that is to be sent. */
  readonly plan: FramePlan
  /** Tells its frames from those of other trials and lanes. */
  readonly key: number
}

const WHOLE = { index: 0, of: 1 }
/** All frames of a trial have the same headers. */
const LAYOUT = probeLayoutOf(DEFAULT_TEMPLATE)
/** What a busy machine couldn't send in time isn't made up for, but for so many milliseconds, or a batch: more would be a burst that nobody has asked for. */
const CATCH_UP = 2

export class Lane {
  private readonly from: AppPort
  private readonly memory: PacketMemory
  private readonly pool: number
  private readonly book: LatencyBook
  private readonly counts: LaneCounts
  private readonly batch: Int32Array
  private source: GeneratedFrames | null = null
  private probe: LatencyProbe | null = null
  private pacer: Pacer
  /** Frames that are still to be sent, and that the pacer has allowed. In an array, as fields would be an object per step. */
  private readonly left = new Float64Array(2)

  /** Sends packets of `pool`, of which nobody else takes any, out of `from`. */
  constructor(
    from: AppPort,
    memory: PacketMemory,
    pool: number,
    book: LatencyBook,
    counts: LaneCounts,
    batchSize: number,
  ) {
    this.from = from
    this.memory = memory
    this.pool = pool
    this.book = book
    this.counts = counts
    this.batch = memory.batch(batchSize)
    this.pacer = new Pacer(1)
  }

  /** From now on frames of other trials are foreign. `count` 0: nothing is sent. */
  begin({ rate, count, plan, key }: LaneOrder, now: number): void {
    const { counts } = this
    this.source = new GeneratedFrames(this.memory, this.pool, plan, WHOLE)
    this.probe = new LatencyProbe(this.memory, [this.book], { key, layouts: [LAYOUT] }, 1)
    this.probe.begin(now)
    this.pacer = new Pacer(rate, Math.max(CATCH_UP, (this.batch.length / rate) * 1000))
    this.pacer.begin(now)
    this.left[0] = count
    this.left[1] = 0
    counts.fill(0)
    counts[BEGUN] = counts[ENDED] = counts[LAST_BACK] = now
  }

  /** Sends nothing more. */
  halt(): void {
    this.left[0] = 0
  }

  /** Everything is sent, and has left the ring. */
  isDone(): boolean {
    return this.left[0] === 0 && this.from.tx.pending() === 0
  }

  /** Sends a batch at most, and returns how many. */
  send(clock: Pick<MonotonicClock, 'read' | 'last'>): number {
    const { source, probe, batch, left, counts } = this
    if (left[0] === 0 || source === null || probe === null) return 0
    clock.read()
    if (left[1] < batch.length) left[1] = this.pacer.allowanceAt(clock.last)
    const wanted = Math.min(batch.length, left[0], this.from.tx.room(), left[1])
    if (wanted <= 0) return 0
    const count = source.next(batch, wanted)
    probe.stamp(batch, count, 0, clock.last)
    this.from.tx.transmit(batch, 0, count)
    left[0] -= count
    left[1] -= count
    this.pacer.spend(count)
    counts[SENT] += count
    counts[ENDED] = clock.last[0]
    return count
  }

  /** Judges what has come in by `time[0]` where this lane ends. */
  collect(ids: Int32Array, count: number, time: Float64Array): void {
    const { probe, counts } = this
    if (probe === null) return
    const { fields } = this.book
    const before = fields[RETURNED]
    probe.collect(ids, count, time)
    if (fields[RETURNED] === before) return
    const now = time[0]
    if (now - counts[LAST_BACK] > counts[SILENT_UNTIL] - counts[SILENT_FROM]) {
      counts[SILENT_FROM] = counts[LAST_BACK]
      counts[SILENT_UNTIL] = now
    }
    counts[LAST_BACK] = now
  }
}
