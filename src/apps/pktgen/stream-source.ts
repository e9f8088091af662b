/** Packets of several streams, each at its own rate, or with its share of what the rings take. */
import type { TxQueue } from '../../driver/device.ts'
import type { MonotonicClock } from '../../linux/monotonic.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { LINE_RATE_MEMORY, Pacer } from '../../packet/pacer.ts'
import { type FrameSource, GeneratedFrames, type Send } from './frame-source.ts'
import type { Share, StreamJob } from './options.ts'
import { shareOf } from './share.ts'

export class StreamFrames implements FrameSource {
  /** The stream of those that next() has made last. */
  stream = 0
  private readonly clock: Pick<MonotonicClock, 'read' | 'last'>
  private readonly share: Share
  private readonly jobs: readonly StreamJob[]
  private readonly sources: readonly GeneratedFrames[]
  private readonly pacers: readonly (Pacer | null)[]
  /** By stream: packets made; this worker's share, Infinity without end; those that its pacer has allowed and that aren't made yet. */
  private readonly made: Float64Array
  private readonly limits: Float64Array
  private readonly allowed: Float64Array
  private readonly count = new Float64Array(1)

  constructor(
    memory: PacketMemory,
    pool: number,
    jobs: readonly StreamJob[],
    share: Share,
    clock: Pick<MonotonicClock, 'read' | 'last'>,
  ) {
    const holds = new Int16Array(memory.size.length).fill(-1)
    let base = 0
    this.clock = clock
    this.share = share
    this.jobs = jobs
    this.sources = jobs.map(({ plan }) => {
      const source = new GeneratedFrames(memory, pool, plan, share, { holds, base })
      base += plan.templates.length
      return source
    })
    this.pacers = jobs.map(({ rate, limitOnly }) =>
      rate === null ? null : new Pacer(rate / share.of, limitOnly ? LINE_RATE_MEMORY : undefined),
    )
    this.limits = Float64Array.from(jobs, ({ count }) => shareOf(count, share))
    this.made = new Float64Array(jobs.length)
    this.allowed = new Float64Array(jobs.length)
  }

  get sent(): number {
    return this.count[0]
  }

  /** By stream. */
  get sentOfEach(): readonly number[] {
    return [...this.made]
  }

  /** Packets of one stream, the next whose turn it is. */
  next(batch: Int32Array, wanted: number): number {
    const stream = this.choose(wanted)
    if (stream < 0) return 0
    return this.account(stream, this.sources[stream].next(batch, this.most(stream, wanted)))
  }

  sender(tx: TxQueue): Send | null {
    const { sources } = this
    const family = {}
    const senders = sources.flatMap((source) => source.sender(tx, family) ?? [])
    if (senders.length < sources.length) return null
    return (wanted) => {
      const stream = this.choose(wanted)
      return stream < 0 ? 0 : this.account(stream, senders[stream](this.most(stream, wanted)))
    }
  }

  private most(stream: number, wanted: number): number {
    return Math.min(wanted, this.limits[stream] - this.made[stream], this.allowed[stream])
  }

  /** So many packets of a stream are made. */
  private account(stream: number, made: number): number {
    if (made === 0) return 0
    this.stream = stream
    this.made[stream] += made
    this.allowed[stream] -= made
    this.pacers[stream]?.spend(made)
    this.count[0] += made
    return made
  }

  /** They share one account of what buffers hold. */
  forget(id: number): void {
    this.sources[0].forget(id)
  }

  begin(startedAt: number): void {
    const { index } = this.share
    this.pacers.forEach((pacer, stream) => {
      const { rate, limitOnly } = this.jobs[stream]
      if (pacer !== null && rate !== null && !limitOnly) pacer.begin(startedAt + (index / rate) * 1000)
    })
  }

  /** The stream that may send, -1 if none may now. In turn, or the one that is most behind its share. */
  private choose(wanted: number): number {
    const { jobs, made, pacers, limits, allowed, clock } = this
    const streams = jobs.length
    let chosen = -1
    let least = Infinity
    let asked = false
    for (let i = 1; i <= streams; i++) {
      const stream = (this.stream + i) % streams
      if (made[stream] >= limits[stream]) continue
      const pacer = pacers[stream]
      if (pacer !== null) {
        if (allowed[stream] < wanted) {
          if (!asked) clock.read()
          asked = true
          allowed[stream] = pacer.allowanceAt(clock.last)
        }
        if (allowed[stream] >= 1) return stream
      } else {
        allowed[stream] = Infinity
        const progress = made[stream] / jobs[stream].share
        if (progress >= least) continue
        least = progress
        chosen = stream
      }
    }
    return chosen
  }
}
