/** A capture that a thread writes to a file. */
import { createRing } from '../../captures/frame-ring.ts'
import { checkWritable, RecordThread } from '../../captures/record-thread.ts'
import type { DroppedBy, Plan, PlanContext } from '../../engine/app.ts'
import { VERSION } from '../../version.ts'
import { Counted } from './counted.ts'
import type { CaptureResult } from './findings.ts'
import type { CaptureJob, CaptureOptions } from './options.ts'

/** Per queue: 50 ms at line rate, during which a disk may pause. */
const RING_BYTES = 64 * 1024 * 1024

export class Writing extends Counted implements Plan<CaptureJob> {
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
    return { how: 'written', file: this.file, files, bytes, captured, ...totals, ...fates }
  }

  close(): void {
    this.thread?.close()
  }
}
