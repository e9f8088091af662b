/** What a run has to do: the app's plan. */
import type { PacketStamps } from '../driver/device.ts'
import { IxyError } from '../errors.ts'
import { parseDevice } from '../pci/address.ts'
import { counted } from '../wording.ts'
import type { DroppedBy, LoadedApp, Plan, RoundTrips } from './app.ts'
import { asApp, asAppNow } from './app-mistake.ts'
import type { RunObserver, RunOptions } from './types.ts'

export class Workload {
  /** Rejects when the plan can't go on; never resolves. */
  readonly failed: Promise<never>
  /** Resolves when there is no more to do; never, if the plan knows no end. */
  readonly ended: Promise<'done' | 'signal'>
  private readonly app: LoadedApp
  private readonly queues: number
  private readonly plan: Plan<unknown>

  private constructor({ app, queues }: RunOptions, plan: Plan<unknown>) {
    this.app = app
    this.queues = queues
    this.plan = plan
    this.failed = plan.failed ?? new Promise<never>(() => undefined)
    this.ended = plan.ended ?? new Promise<never>(() => undefined)
  }

  /**
   * Lets the app make its plan; null if `stop` is aborted meanwhile. Rejects with what the app throws: a file that can't be
   * used, a rate that no card can have. Close it afterwards.
   */
  static async prepare(
    options: RunOptions,
    observer: RunObserver,
    stop: AbortSignal,
  ): Promise<Workload | null> {
    const { app, appOptions, devices, queues, mtu } = options
    const physical = devices.map((device) => parseDevice(device).kind === 'pci')
    const log = (level: 'warning' | 'progress', text: string): void => observer[level](text)
    const print = (line: string): boolean => observer.line?.(line) ?? false
    const context = { devices, physical, queues, mtu, log, print, stop }
    const made = await asApp(app.file, async () => app.app.plan?.(appOptions, context))
    const workload = new Workload(options, planOf(made ?? Array.from({ length: queues }, () => appOptions)))
    if (!stop.aborted) return workload
    workload.close()
    return null
  }

  /** One job per queue. */
  jobs(linkMbit: readonly number[]): readonly unknown[] {
    const jobs: unknown = asAppNow(this.app.file, () => this.plan.jobs(linkMbit))
    if (Array.isArray(jobs) && jobs.length === this.queues) return jobs
    const { file, app } = this.app
    const found = Array.isArray(jobs) ? counted(jobs.length, 'job') : 'no jobs'
    const what = `${file ?? app.name}: plan() has ${found} for ${counted(this.queues, 'worker')}`
    throw new IxyError('IXY_ERR_APP', what, 'return one job per queue')
  }

  /** Packets flow. */
  started(dropped: () => readonly DroppedBy[], stamps: readonly (PacketStamps | null)[]): void {
    asAppNow(this.app.file, () => this.plan.started?.(dropped, stamps))
  }

  /** What the app has found out, for the result of the run; null if it says nothing. */
  result(results: readonly unknown[]): unknown {
    return asAppNow(this.app.file, () => this.plan.result?.(results) ?? null)
  }

  /** Packets that it has sent and waits for. */
  underWay(): number {
    return asAppNow(this.app.file, () => this.plan.underWay?.() ?? 0)
  }

  /** What it has measured up to now; null if it measures none. */
  roundTrips(): RoundTrips | null {
    return this.plan.roundTrips?.() ?? null
  }

  /** Lets the plan do what is left once all packets are in. Rejects with what went wrong. */
  async finish(devices: readonly DroppedBy[], late: () => boolean): Promise<void> {
    await asApp(this.app.file, async () => this.plan.finish?.(devices, late))
  }

  close(): void {
    this.plan.close?.()
  }
}

function planOf(made: readonly unknown[] | Plan<unknown>): Plan<unknown> {
  return !Array.isArray(made) && 'jobs' in made ? made : { jobs: () => made, result: (results) => results }
}
