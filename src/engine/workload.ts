/** What a run has to do: the app's plan. */
import { IxyError } from '../errors.ts'
import type { Plan } from './app.ts'
import type { RunObserver, RunOptions } from './types.ts'

export class Workload {
  /** Rejects when the plan can't go on; never resolves. */
  readonly failed: Promise<never>
  private readonly name: string
  private readonly queues: number
  private readonly plan: Plan<unknown>

  private constructor({ app, queues }: RunOptions, plan: Plan<unknown>) {
    this.name = app.app.name
    this.queues = queues
    this.plan = plan
    this.failed = plan.failed ?? new Promise<never>(() => undefined)
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
    const log = (level: 'warning' | 'progress', text: string): void => observer[level](text)
    const made = await app.app.plan?.(appOptions, { devices, queues, mtu, log, stop })
    const workload = new Workload(options, planOf(made ?? Array.from({ length: queues }, () => appOptions)))
    if (!stop.aborted) return workload
    workload.close()
    return null
  }

  /** One job per queue. */
  jobs(linkMbit: readonly number[]): readonly unknown[] {
    const jobs = this.plan.jobs(linkMbit)
    if (Array.isArray(jobs) && jobs.length === this.queues) return jobs
    const what = `app ${this.name}: its plan has ${jobs.length} jobs for ${this.queues} workers`
    throw new IxyError('IXY_ERR_APP', what, 'return one job per queue')
  }

  /** What the app has found out, for the result of the run; null if it says nothing. */
  result(results: readonly unknown[]): unknown {
    return this.plan.result?.(results) ?? null
  }

  close(): void {
    this.plan.close?.()
  }
}

function planOf(made: readonly unknown[] | Plan<unknown>): Plan<unknown> {
  return 'jobs' in made ? made : { jobs: () => made, result: (results) => results }
}
