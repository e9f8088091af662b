/** One run of an app from first register to last: the control plane. */
import { type IxyError, asIxyError } from '../errors.ts'
import { Crew } from './crew.ts'
import { DEADLINES, DRAIN_DEADLINE, Ending } from './ending.ts'
import { keepCounting, reportIntervals } from './intervals.ts'
import { Links } from './links.ts'
import { Recruits } from './recruits.ts'
import { Session, wishesOf } from './session.ts'
import { StatisticsBoard } from './statistics-board.ts'
import { offerTelemetry } from './telemetry.ts'
import { Audit } from './audit.ts'
import { type EndReason, type RunObserver, type RunOptions, type RunResult, neverStarted } from './types.ts'
import { Bell, aborted } from './wait.ts'
import { watchedSample } from './watched-sample.ts'
import { windDown } from './wind-down.ts'
import { Workload } from './workload.ts'
import { VERSION } from '../version.ts'
import { Undo } from '../undo.ts'

/** Milliseconds for the closing of files where nobody is in a hurry. */
const CLOSE_DEADLINE = 2_000
/** Milliseconds that the process of a virtual device may take to say why it ends. */
const LAST_WORDS = 500
/** Milliseconds between two looks at links, devices and virtual wires. */
const WATCH_EVERY = 100
/** The same for a run that may sleep: a look costs several reads of registers. */
const WATCH_IDLE_EVERY = 1000

/**
 * Runs one app on its devices until it ends, `stop` is aborted or something fails; then stops cleanly.
 * Never rejects: a failure, also one before the start, is in the result, with every counter that could still be read.
 */
export async function run(options: RunOptions, observer: RunObserver, stop: AbortSignal): Promise<RunResult> {
  const ending = new Ending(options, stop)
  try {
    return await prepareAndRun(options, observer, ending)
  } finally {
    ending.over()
  }
}

async function prepareAndRun(options: RunOptions, observer: RunObserver, ending: Ending): Promise<RunResult> {
  const { stop, watchdog } = ending
  let workload: Workload | null = null
  let session: Session
  const recruits = new Recruits(options.queues)
  try {
    // Whatever is wrong with a capture shows before a NIC is touched.
    workload = await Workload.prepare(options, observer, stop)
    if (workload === null) return neverStarted(null)
    const opening = Session.open({ ...options, ...wishesOf(options.app.app) }, { observer, stop, watchdog })
    // Their process has been started first: it takes longest.
    if (options.devices.some((name) => name.startsWith('virtual:'))) recruits.start()
    session = await opening
    recruits.start()
  } catch (error) {
    workload?.close()
    recruits.dismiss()
    // What was under way has failed because it was to be given up.
    return neverStarted(stop.aborted ? null : asIxyError(error))
  }
  let result: RunResult
  let incomplete: IxyError | null
  try {
    result = await new Run(session, workload, options, observer, ending, recruits).execute()
  } finally {
    workload.close()
    recruits.dismiss()
    incomplete = await session.close(ending.left(DEADLINES.closed, CLOSE_DEADLINE))
  }
  return incomplete === null || result.error !== null
    ? result
    : { ...result, reason: 'error', error: incomplete }
}

class Run {
  private readonly session: Session
  private readonly workload: Workload
  private readonly options: RunOptions
  private readonly observer: RunObserver
  private readonly ending: Ending
  private readonly stop: AbortSignal
  private readonly recruits: Recruits
  private readonly links: Links
  private startedAt: number | null = null
  private endedAt = 0

  constructor(
    session: Session,
    workload: Workload,
    options: RunOptions,
    observer: RunObserver,
    ending: Ending,
    recruits: Recruits,
  ) {
    this.session = session
    this.workload = workload
    this.options = options
    this.observer = observer
    this.ending = ending
    this.recruits = recruits
    this.stop = ending.stop
    this.links = new Links(session, observer, options.app.app.passes)
  }

  async execute(): Promise<RunResult> {
    const { session, options, observer } = this
    const undo = new Undo()
    let crew: Crew | null = null
    let board: StatisticsBoard | null = null
    let reason: EndReason = 'error'
    let error: IxyError | null = null
    try {
      await this.links.untilUp(this.stop)
      const jobs = this.workload.jobs(session.devices.map((_, i) => this.links.mbit(i)))
      const { batchSize, placement } = session
      const { cpus, warnings } = placement
      for (const warning of warnings) observer.warning(warning)
      const warn = (message: string): void => observer.warning(message)
      crew = new Crew(
        session.queueSets,
        options.app,
        jobs,
        { ...options, cpus, batchSize },
        warn,
        this.ending.watchdog,
        this.recruits,
      )
      board = new StatisticsBoard(session.devices, crew, options.queues, warn)
      const queues = `${options.queues} queue${options.queues === 1 ? '' : 's'}`
      const armed = this.tellWhile(crew.armed(), `compiling the data plane for ${queues} …`)
      await Promise.race([armed, aborted(this.stop)])
      if (!this.stop.aborted) await this.start(crew, board, undo)
      reason = await this.untilEnd(crew)
    } catch (cause) {
      error = await this.explain(cause)
    }

    this.endedAt = performance.now()
    this.ending.begins(reason)
    undo.runQuietly()
    try {
      if (crew !== null)
        this.endedAt =
          (await windDown({ session, crew, workload: this.workload, ending: this.ending })) ?? this.endedAt
    } catch (cause) {
      error ??= await this.explain(cause)
    }
    await crew?.stop(this.ending.left(DEADLINES.drained, DRAIN_DEADLINE))
    if (this.startedAt !== null) error ??= crew?.lateness() ?? null
    if (error !== null) reason = 'error'
    const late = (): boolean => this.ending.late(DEADLINES.reported)
    const audit = await Audit.take(session, options.app.app, crew, board, late)
    try {
      await this.workload.finish(audit.devices, () => this.ending.late(DEADLINES.finished))
    } catch (cause) {
      error ??= asIxyError(cause)
      reason = 'error'
    }
    const elapsed = this.startedAt === null ? 0 : (this.endedAt - this.startedAt) / 1000
    const active = audit.active(elapsed)
    return {
      // A card may have moved its last packets after the end was noted.
      elapsed: Math.max(elapsed, active),
      active,
      reason,
      devices: audit.devices,
      virtual: audit.virtual,
      balance: audit.balance,
      loss: audit.loss,
      counters: crew?.appCounters() ?? {},
      result: crew === null ? null : this.workload.result(crew.results()),
      error,
    }
  }

  private async start(crew: Crew, board: StatisticsBoard, undo: Undo): Promise<void> {
    const { session, options, observer } = this
    // Everything that takes this thread any time comes before the first packet: it may share a CPU with a worker.
    const devices = session.infos()
    const hello = { command: options.app.app.name, version: VERSION, devices }
    const watched = { session, crew, board, links: this.links, workload: this.workload }
    const telemetry = await offerTelemetry(
      hello,
      () => watchedSample(watched),
      (message) => observer.warning(message),
    )
    undo.push(() => telemetry.close())
    observer.started(devices)
    // What the cards count has its time, from the first of them on.
    this.startedAt = performance.now()
    for (const device of session.devices) device.start()
    this.ending.started()
    crew.run()
    this.workload.started(
      board.totals,
      session.devices.map(({ stamps }) => stamps ?? null),
    )
    undo.push(reportIntervals(board.sample, observer, options.interval, this.startedAt))
    undo.push(keepCounting(board, options.mode !== 'poll'))
  }

  /** What went wrong: for a device that has gone, what its server says rather than that it has gone. */
  private async explain(cause: unknown): Promise<IxyError> {
    const error = asIxyError(cause)
    const { virtual } = this.session
    if (error.code !== 'IXY_ERR_DEVICE_GONE' || virtual === null) return error
    const reason = await virtual.failureWithin(this.ending.left(DEADLINES.settled, LAST_WORDS))
    if (reason === null && this.session.virtualHangs()) virtual.giveUp()
    return reason ?? error
  }

  /** Waits for `work`, and says so once a second. */
  private async tellWhile(work: Promise<void>, what: string): Promise<void> {
    const teller = setInterval(() => this.observer.progress(what), 1000)
    try {
      await work
    } finally {
      clearInterval(teller)
    }
  }

  /** Resolves with why the run ends. Rejects when a device or a worker is gone. */
  private async untilEnd(crew: Crew): Promise<EndReason> {
    const bell = new Bell()
    let finished = false
    let failure: unknown = null
    let enough: 'done' | 'signal' | null = null
    this.stop.addEventListener('abort', bell.ring)
    if (this.session.virtual !== null) this.session.virtual.onNews = bell.ring
    void crew.finished.then(() => {
      finished = true
      bell.ring()
    })
    void this.workload.ended.then((reason) => {
      enough = reason
      bell.ring()
    })
    for (const failed of [crew.failed, this.workload.failed]) {
      failed.catch((cause: unknown) => {
        failure = cause
        bell.ring()
      })
    }
    const deadline =
      this.options.duration === null ? Infinity : (this.startedAt ?? 0) + this.options.duration * 1000
    const every = this.options.mode === 'poll' ? WATCH_EVERY : WATCH_IDLE_EVERY
    for (;;) {
      if (failure !== null) throw failure
      if (this.stop.aborted) return 'signal'
      if (finished) return 'count'
      if (enough !== null) return enough
      if (this.wiresAreDone()) return 'done'
      const left = deadline - performance.now()
      if (left <= 0) return 'duration'
      this.session.assertAlive()
      this.links.look()
      await bell.wait(Math.min(every, left))
    }
  }

  /** True when the wires that have an end (there is at least one) have sent all they have. */
  private wiresAreDone(): boolean {
    if (this.options.app.app.generates === true) return false
    const finite = (this.session.virtual?.latest() ?? []).filter((nic) => nic.finite)
    return finite.length > 0 && finite.every((nic) => nic.ended)
  }
}
