/** The data-plane workers of a run, from the main thread's side. */
import type { IxyError } from '../errors.ts'
import { MonotonicClock } from '../linux/monotonic.ts'
import { fitsWasm } from '../memory/wasm-space.ts'
import type { LoadedApp } from './app.ts'
import type { PortCounts } from './balance.ts'
import type { Span } from './activity.ts'
import { Member } from './member.ts'
import type { Recruits } from './recruits.ts'
import { LOOK_EVERY } from './step-watch.ts'
import type { QueueSet } from './session.ts'
import type { Watchdog } from './watchdog.ts'
import {
  COMMAND_QUIET,
  COMMAND_SETTLE,
  COMMAND_STOP,
  COUNTERS,
  DROP_CAUSES,
  FIRST_DROP,
  FIRST_MOVED,
  LAST_MOVED,
  POLLS,
  RX_BYTES,
  RX_PACKETS,
  TX_BYTES,
  TX_PACKETS,
  USEFUL_POLLS,
} from './worker-spec.ts'
import type { RunOptions, Traffic, WorkerPolls } from './types.ts'

/** Causes of drops of packets that a worker has taken out of a ring; the others are of what it has left there. */
const TAKEN_AND_DROPPED = ['pool_empty', 'fragments', 'bad_length'] as const

export interface QueueCounters {
  readonly rx: Traffic
  readonly tx: Traffic
  readonly dropped: Readonly<Record<string, number>>
}

export class Crew {
  /** Resolves once every worker has sent all it was asked to. Never, if the job has no end. */
  readonly finished: Promise<void>
  /** Rejects when a worker dies; never resolves. */
  readonly failed: Promise<never>
  /** The name of the app if it has counters of its own, else null. */
  readonly app: string | null
  /** Of these counters. */
  private readonly names: readonly string[]
  private readonly members: readonly Member[]
  private readonly looks: NodeJS.Timeout | undefined

  /**
   * Makes one worker per queue set of the recruits. They warm up and arm their rings, then wait for run(). `warn` is told what is not as
   * it should be, each thing once; `watchdog` guards them.
   */
  constructor(
    queueSets: readonly QueueSet[],
    { app, file }: LoadedApp,
    jobs: readonly unknown[],
    {
      batchSize,
      mode,
      backend,
      cpus,
      check,
    }: Pick<RunOptions, 'mode' | 'backend' | 'cpus' | 'check'> & { readonly batchSize: number },
    warn: (message: string) => void,
    watchdog: Watchdog,
    recruits: Recruits,
  ) {
    const warned = new Set<string>()
    const warnOnce = (message: string): void => {
      if (!warned.has(message)) warn(message)
      warned.add(message)
    }
    const names = app.counters ?? []
    this.names = names
    this.app = names.length === 0 ? null : app.name
    const members: Member[] = []
    try {
      queueSets.forEach(({ memory, ports, arena }, i) => {
        const cpu = cpus.length > 0 ? cpus[i % cpus.length] : null
        const wasm = (backend ?? (fitsWasm(arena) ? 'wasm' : 'ts')) === 'wasm' ? arena : null
        const place = { worker: i, workers: queueSets.length, cpu }
        const work = { app: { name: app.name, file }, job: jobs[i], batchSize, mode, check }
        const spec = { memory, ports, wasm, wasmOnly: backend === 'wasm', ...work, ...place }
        const member = new Member(spec, names.length, warnOnce, recruits)
        members.push(member)
        watchdog.guard(member.guarded)
      })
    } catch (error) {
      for (const member of members) member.abandon()
      throw error
    }
    this.members = members
    this.finished = Promise.all(this.members.map((member) => member.finished)).then(() => undefined)
    this.failed = Promise.race(this.members.map((member) => member.failed))
    // Whoever waits for it sees it; nobody has to.
    this.failed.catch(() => undefined)
    // Ours come back from every step.
    if (file !== null) this.looks = setInterval(() => this.look(), LOOK_EVERY)
  }

  private look(): void {
    for (const member of this.members) member.look()
  }

  /** Resolves when all rings are armed. */
  async armed(): Promise<void> {
    await Promise.race([Promise.all(this.members.map((member) => member.armed)), this.failed])
  }

  /** All workers start at this moment. */
  run(): void {
    const now = new MonotonicClock().now()
    for (const member of this.members) member.run(now)
  }

  /**
   * Ends what the workers send of their own accord; they go on receiving and forwarding. `patient`: of the cards they have
   * none sends either, so they may nap meanwhile.
   */
  quiet(patient: boolean): void {
    for (const member of this.members) member.command(patient ? COMMAND_SETTLE : COMMAND_QUIET)
  }

  /**
   * Lets every worker empty its rings and end; one that doesn't within `milliseconds` is terminated, and what it has
   * counted last is lost, see `counted`. Never rejects.
   */
  async stop(milliseconds: number): Promise<void> {
    clearInterval(this.looks)
    for (const member of this.members) member.command(COMMAND_STOP)
    await Promise.all(this.members.map((member) => member.end(milliseconds)))
  }

  /** Why the last counts are missing; null if they aren't. After stop(). */
  lateness(): IxyError | null {
    return this.members.find(({ counted }) => !counted)?.failure ?? null
  }

  /** What the app has found out in each worker, of those that have ended by themselves. */
  results(): unknown[] {
    return this.members.filter(({ counted }) => counted).map(({ result }) => result)
  }

  /** The app's own counters, of all workers together; {} if it has none. */
  appCounters(): Record<string, number> {
    const at = (i: number): number => this.members.reduce((sum, { own }) => sum + own[i], 0)
    return Object.fromEntries(this.names.map((name, i) => [name, at(i)]))
  }

  /** True if every worker has ended by itself: its counters are final. After stop(). */
  get counted(): boolean {
    return this.members.every((member) => member.counted)
  }

  /** Totals of all workers at device `port`, for the balance. */
  account(port: number): PortCounts['worker'] {
    const { rx, tx, dropped } = this.totals(port)
    return {
      taken: rx.packets,
      dropped: Object.fromEntries(TAKEN_AND_DROPPED.map((cause) => [cause, dropped[cause]])),
      untaken: dropped['rx_untaken'],
      filteredOut: dropped['filtered_out'],
      queued: tx.packets,
      unsent: dropped['tx_unsent'],
    }
  }

  /** Totals of all queue pairs of device `port`. */
  totals(port: number): QueueCounters {
    const queues = this.members.map((_, queue) => this.counters(queue, port))
    const total = (of: (queue: QueueCounters) => number): number =>
      queues.reduce((sum, queue) => sum + of(queue), 0)
    return {
      rx: { packets: total(({ rx }) => rx.packets), bytes: total(({ rx }) => rx.bytes) },
      tx: { packets: total(({ tx }) => tx.packets), bytes: total(({ tx }) => tx.bytes) },
      dropped: Object.fromEntries(
        DROP_CAUSES.map((cause) => [cause, total(({ dropped }) => dropped[cause])]),
      ),
    }
  }

  /** When packets moved in each worker: the first to a poll, the last to some 64. */
  moved(): Span[] {
    return this.members.map(({ ofWorker }) => {
      return ofWorker[FIRST_MOVED] === 0 ? null : { first: ofWorker[FIRST_MOVED], last: ofWorker[LAST_MOVED] }
    })
  }

  /** How often each worker has polled, as of at most 64 polls ago. */
  polls(): WorkerPolls[] {
    return this.members.map(({ ofWorker }, worker) => {
      const useful = ofWorker[USEFUL_POLLS]
      return { worker, polls: ofWorker[POLLS], useful }
    })
  }

  /** Totals of one queue pair: worker `queue`, device `port`. */
  counters(queue: number, port: number): QueueCounters {
    const { counters } = this.members[queue]
    const at = (counter: number): number => counters[port * COUNTERS + counter]
    return {
      rx: { packets: at(RX_PACKETS), bytes: at(RX_BYTES) },
      tx: { packets: at(TX_PACKETS), bytes: at(TX_BYTES) },
      dropped: Object.fromEntries(DROP_CAUSES.map((cause, i) => [cause, at(FIRST_DROP + i)])),
    }
  }
}
