/** What is the same whatever is done with the packets; and nothing but that. */
import { CaptureCounts } from '../../captures/counts.ts'
import type { DroppedBy, Plan, PlanContext } from '../../engine/app.ts'
import { compileFilter } from '../../linux/pcap-library.ts'
import type { FilterProgram } from '../../packet/filter/program.ts'
import type { CaptureResult } from './findings.ts'
import type { CaptureJob, CaptureOptions } from './options.ts'
import { Quota } from './quota.ts'

/** What a card drops because nobody took it, by cause. */
const MISSED = ['missed', 'no_descriptor', 'pool_empty', 'rx_buffered', 'rx_untaken']

export class Counted {
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
export class Counting extends Counted implements Plan<CaptureJob> {
  jobs(): readonly CaptureJob[] {
    return this.jobsWith([], 0)
  }

  finish(devices: readonly DroppedBy[]): Promise<void> {
    this.countMissed(devices)
    return Promise.resolve()
  }

  result(): CaptureResult {
    const { taken: captured, ...totals } = this.counts.totals()
    return { how: 'counted', file: null, files: 0, bytes: 0, unwritten: 0, captured, ...totals }
  }
}
