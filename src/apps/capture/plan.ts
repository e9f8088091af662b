/** From options to what each worker is to do, and to whom its packets go. */
import { CaptureCounts } from '../../captures/counts.ts'
import { createRing } from '../../captures/frame-ring.ts'
import { checkWritable, RecordThread } from '../../captures/record-thread.ts'
import type { DroppedBy, Plan, PlanContext } from '../../engine/app.ts'
import { compileFilter } from '../../linux/pcap-library.ts'
import type { FilterProgram } from '../../packet/filter/program.ts'
import { VERSION } from '../../version.ts'
import type { CaptureResult } from './findings.ts'
import type { CaptureJob, CaptureOptions } from './options.ts'
import { Quota } from './quota.ts'

/** Per queue: 50 ms at line rate, during which a disk may pause. */
const RING_BYTES = 64 * 1024 * 1024
/** What a card drops because nobody took it, by cause. */
const MISSED = ['missed', 'no_descriptor', 'pool_empty', 'rx_buffered', 'rx_untaken']

/** Throws IXY_ERR_FILE if the file can't be written. */
export function planCapture(options: CaptureOptions, context: PlanContext): Plan<CaptureJob> {
  return options.file === null ? new Counting(options, context) : new Writing(options, options.file, context)
}

/** What all have in common. */
class Counted {
  protected readonly options: CaptureOptions
  protected readonly context: PlanContext
  protected readonly counts: CaptureCounts
  protected readonly countsMemory: SharedArrayBuffer
  private readonly filter: FilterProgram | null

  constructor(options: CaptureOptions, context: PlanContext) {
    this.options = options
    this.context = context
    this.filter = options.filter === '' ? null : compileFilter(options.filter)
    this.countsMemory = CaptureCounts.allocate(context.queues)
    this.counts = new CaptureCounts(this.countsMemory)
  }

  protected countMissed(devices: readonly DroppedBy[]): void {
    if (devices.length === 0) return
    const causes = devices
      .filter(({ queue }) => queue === null)
      .flatMap(({ dropped }) => Object.entries(dropped))
      .filter(([cause]) => MISSED.includes(cause))
    this.counts.setMissed(causes.reduce((sum, [, packets]) => sum + packets, 0))
  }

  /** `clock`: see CaptureJob. */
  protected jobsWith(rings: readonly SharedArrayBuffer[], clock: number): CaptureJob[] {
    const { filter, countsMemory: counts } = this
    const { count, snapLength } = this.options
    const quota = count === null ? null : Quota.allocate(count)
    const common = { filter, counts, snapLength, clock, quota }
    return Array.from({ length: this.context.queues }, (_, i) => ({ ...common, ring: rings.at(i) ?? null }))
  }
}

/** Nothing is done with them but to count them. */
class Counting extends Counted implements Plan<CaptureJob> {
  jobs(): readonly CaptureJob[] {
    return this.jobsWith([], 0)
  }

  finish(devices: readonly DroppedBy[]): Promise<void> {
    this.countMissed(devices)
    return Promise.resolve()
  }

  result(): CaptureResult {
    const { taken: captured, ...totals } = this.counts.totals()
    return { file: null, files: 0, bytes: 0, unwritten: 0, captured, ...totals }
  }
}

/** A thread writes them to a file. */
class Writing extends Counted implements Plan<CaptureJob> {
  readonly failed: Promise<never>
  readonly ended: Promise<'done' | 'signal'>
  private readonly file: string
  private thread: RecordThread | null = null
  /** Nothing more was to be written: what has come after that isn't missing. */
  private complete = false
  private fail: (error: Error) => void = () => undefined
  private end: (reason: 'done' | 'signal') => void = () => undefined

  constructor(options: CaptureOptions, file: string, context: PlanContext) {
    super(options, context)
    this.file = file
    checkWritable({ name: file, owner: 'self' })
    this.failed = new Promise((_, reject) => (this.fail = reject))
    this.failed.catch(() => undefined)
    this.ended = new Promise((resolve) => (this.end = resolve))
  }

  jobs(linkMbit: readonly number[]): readonly CaptureJob[] {
    const { options, context, file, countsMemory: counts } = this
    const rings = Array.from({ length: context.queues }, () => createRing(RING_BYTES))
    const facts = {
      name: context.devices[0],
      bitsPerSecond: linkMbit[0] * 1e6,
      filter: options.filter,
      program: `ixy-ts ${VERSION}`,
    }
    const pcapng = options.format === 'pcapng' ? { facts, counts } : null
    const { snapLength, limits } = options
    const thread = new RecordThread(
      { name: file, owner: 'self', snapLength, limits, pcapng },
      rings,
      context.log,
    )
    this.thread = thread
    thread.onError = this.fail
    thread.onComplete = (gone) => {
      this.complete = true
      // A reader that has gone is no failure: it is how one stops a pipe.
      if (gone) thread.onError = () => undefined
      this.end(gone ? 'signal' : 'done')
    }
    return this.jobsWith(rings, thread.progress.startClock())
  }

  async finish(devices: readonly DroppedBy[], late: () => boolean): Promise<void> {
    this.countMissed(devices)
    const { thread } = this
    if (thread === null) return
    await thread.finish(late)
    if (this.complete) return
    if (thread.error !== null) throw thread.error
    const unwritten = this.counts.totals().taken - thread.progress.recorded
    if (unwritten > 0) throw thread.missing(unwritten)
  }

  result(): CaptureResult {
    const { taken, ...totals } = this.counts.totals()
    const { recorded: captured = 0, files = 0, written: bytes = 0 } = this.thread?.progress ?? {}
    const rest = taken - captured
    const fates = this.complete
      ? { unwritten: 0, afterEnd: totals.afterEnd + rest }
      : { unwritten: rest, afterEnd: totals.afterEnd }
    return { file: this.file, files, bytes, captured, ...totals, ...fates }
  }

  close(): void {
    this.thread?.close()
  }
}
