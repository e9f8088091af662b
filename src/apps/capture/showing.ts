/** Packets as lines on the screen: as many of them as it takes, the others are counted. */
import { createRing, RingConsumer } from '../../captures/frame-ring.ts'
import { Merge } from '../../captures/merge.ts'
import { Progress } from '../../captures/progress.ts'
import type { DroppedBy, Plan, PlanContext } from '../../engine/app.ts'
import { lineOf, packetFields } from '../../packet/decode/describe.ts'
import { counted } from '../../wording.ts'
import { Counted } from './counted.ts'
import type { CaptureResult } from './findings.ts'
import type { CaptureJob, CaptureOptions } from './options.ts'

/** Per queue. What doesn't fit isn't shown. */
const RING_BYTES = 4 * 1024 * 1024
/** Milliseconds between two looks at the rings, and what one may take: this thread has other things to do, too. */
const LOOK_EVERY = 25
const LOOK_TAKES = 15
/** Packets between two looks at the clock. */
const STRETCH = 64

/** Workers never wait for it: what they find no room for is dropped. */
export class Showing extends Counted implements Plan<CaptureJob> {
  private readonly form: 'text' | 'json'
  private readonly progress = new Progress(Progress.allocate())
  private rings: readonly RingConsumer[] = []
  private merge = new Merge([])
  private timer: NodeJS.Timeout | undefined
  private shown = 0
  /** Packets of all queues that weren't shown since the last line. */
  private skipped = 0
  /** Lines that are printed together, as a write for each would take too long; and what they say was not shown before them. */
  private lines: string[] = []
  private told = 0

  constructor(options: CaptureOptions, form: 'text' | 'json', context: PlanContext) {
    super(options, context)
    this.form = form
  }

  jobs(): readonly CaptureJob[] {
    const rings = Array.from({ length: this.context.queues }, () => createRing(RING_BYTES))
    this.rings = rings.map((ring) => new RingConsumer(ring))
    this.merge = new Merge(this.rings)
    const clock = this.progress.startClock()
    this.timer = setInterval(() => this.look(this.merge.settledAt(this.progress.sinceClock())), LOOK_EVERY)
    return this.jobsWith(rings, clock)
  }

  async finish(devices: readonly DroppedBy[], late: () => boolean): Promise<void> {
    this.countMissed(devices)
    clearInterval(this.timer)
    // Signals are heard in between.
    while (this.look(Infinity) && !late()) await new Promise((resolve) => setImmediate(resolve))
    if (this.form === 'text' && this.shown > 0) this.context.print('')
  }

  result(): CaptureResult {
    const { taken, dropped, ...totals } = this.counts.totals()
    const { shown: captured } = this
    return {
      ...{ how: 'shown' as const, file: null, files: 0, bytes: 0, unwritten: 0, captured, ...totals },
      dropped: dropped + taken - captured,
    }
  }

  close(): void {
    clearInterval(this.timer)
  }

  /** Shows what came before `until`, for some milliseconds; returns whether there is more. */
  private look(until: number): boolean {
    const { merge, rings } = this
    const deadline = performance.now() + LOOK_TAKES
    let packets = 0
    let queue = merge.next(until)
    for (; queue >= 0; queue = merge.next(until)) {
      this.skipped += merge.drops[queue]
      merge.drops[queue] = 0
      this.show(rings[queue])
      rings[queue].shift()
      if (++packets % STRETCH !== 0) continue
      merge.release()
      this.print()
      if (performance.now() > deadline) break
    }
    merge.release()
    this.print()
    return queue >= 0
  }

  private show(ring: RingConsumer): void {
    const { skipped } = this
    const { memory, offset, length, number: wireLength, time } = ring
    const fields = packetFields(memory.u8, offset, length, wireLength)
    const text = lineOf(fields)
    const at = this.progress.clock + Math.floor(time / 1000)
    const nanoseconds = Math.floor((time % 1000) * 1e6)
    let line: string
    if (this.form === 'json') {
      const gap = skipped > 0 ? { skipped } : {}
      line = JSON.stringify({ event: 'packet', time: utc(at, nanoseconds), ...gap, ...fields, text })
    } else {
      const gap = skipped > 0 ? `(${counted(skipped, 'packet')} not shown: too many for the screen)\n` : ''
      line = `${gap}${localTime(at, nanoseconds)} ${text}`
    }
    this.lines.push(line)
    this.told += skipped
    this.skipped = 0
  }

  private print(): void {
    const { lines } = this
    if (lines.length === 0) return
    if (this.context.print(lines.join('\n'))) this.shown += lines.length
    else this.skipped += this.told + lines.length
    this.lines = []
    this.told = 0
  }
}

/** 2026-01-02T03:04:05.067890123Z */
function utc(seconds: number, nanoseconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanoseconds).padStart(9, '0')}Z`
}

/** 03:04:05.067890, as tcpdump has it. */
function localTime(seconds: number, nanoseconds: number): string {
  const date = new Date(seconds * 1000)
  const [hours, minutes, rest] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
    String(part).padStart(2, '0'),
  )
  return `${hours}:${minutes}:${rest}.${String(Math.floor(nanoseconds / 1000)).padStart(6, '0')}`
}
