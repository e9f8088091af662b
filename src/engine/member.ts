/** One data-plane worker, from the main thread's side. */
import { IxyError, asIxyError, isIxyError } from '../errors.ts'
import type { Thread } from '../threads.ts'
import type { Running } from './emergency.ts'
import type { Recruits } from './recruits.ts'
import { StepWatch, whereIs } from './step-watch.ts'
import {
  COMMAND,
  COMMAND_RUN,
  CONTROL_BYTES,
  COUNTERS,
  type FromWorker,
  OF_WORKER,
  STARTED,
  type WorkerSpec,
} from './worker-spec.ts'

export class Member {
  /** Of the ports. */
  readonly counters: Float64Array
  /** When it has seen packets move, and its polls. */
  readonly ofWorker: Float64Array
  /** The app's. */
  readonly own: Float64Array
  /** What the app has found out. */
  result: unknown = null
  readonly guarded: Running
  readonly armed: Promise<void>
  readonly finished: Promise<void>
  readonly failed: Promise<never>
  /** The worker has ended by itself, its counters are its last. */
  counted = false
  /** What it has died of, or why it doesn't end; null as long as neither is known. */
  failure: IxyError | null = null
  private readonly app: WorkerSpec['app']
  private readonly steps: StepWatch
  private readonly fail: (error: IxyError) => void
  private readonly control: Int32Array
  private readonly thread: Thread
  private readonly exited: Promise<void>

  /** `own`: how many counters the app has. Takes a thread of the recruits and tells it what to do. */
  constructor(
    spec: Omit<WorkerSpec, 'control' | 'counters'>,
    own: number,
    warn: (message: string) => void,
    recruits: Recruits,
  ) {
    const control = new SharedArrayBuffer(CONTROL_BYTES)
    const ofPorts = spec.ports.length * COUNTERS
    const shared = new SharedArrayBuffer((ofPorts + OF_WORKER + own) * 8)
    this.app = spec.app
    this.control = new Int32Array(control)
    this.steps = new StepWatch(this.control)
    this.counters = new Float64Array(shared, 0, ofPorts)
    this.ofWorker = new Float64Array(shared, ofPorts * 8, OF_WORKER)
    this.own = new Float64Array(shared, (ofPorts + OF_WORKER) * 8)
    this.guarded = { control }
    this.thread = threadFor({ ...spec, control, counters: shared }, recruits)
    let armed = (): void => undefined
    let finished = (): void => undefined
    let fail: (error: IxyError) => void = () => undefined
    this.armed = new Promise((resolve) => (armed = resolve))
    this.finished = new Promise((resolve) => (finished = resolve))
    this.failed = new Promise((_, reject) => (fail = reject))
    this.failed.catch(() => undefined)
    this.fail = (error) => {
      this.failure ??= error
      fail(error)
    }
    const { worker } = this.thread
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'armed') armed()
      else if (message.type === 'finished') finished()
      else if (message.type === 'warning') warn(message.text)
      else {
        this.result = message.result
        this.counted = true
      }
    })
    void this.thread.failed.then((error) => this.fail(failureOf(error)))
    this.exited = this.thread.exited.then(() => {
      // Of nobody's doing: an app that ends the thread.
      if (!this.counted) this.fail(endedByItself(this.app))
    })
  }

  /** Finds out whether it is stuck in a step of the app; to be asked every LOOK_EVERY milliseconds. */
  look(): void {
    if (this.steps.isStuck()) void this.findStuck().then(this.fail)
  }

  private async findStuck(): Promise<IxyError> {
    const place = await whereIs(this.thread.worker.threadId)
    return new IxyError(
      'IXY_ERR_APP',
      `${place ?? this.app.file ?? ''}: app ${this.app.name} doesn't come back from a step`,
      'step() moves a batch and returns; it never waits',
    )
  }

  /** `startedAt`: milliseconds of CLOCK_MONOTONIC. */
  run(startedAt: number): void {
    new Float64Array(this.control.buffer)[STARTED] = startedAt
    this.command(COMMAND_RUN)
  }

  command(command: number): void {
    Atomics.store(this.control, COMMAND, command)
    Atomics.notify(this.control, COMMAND)
  }

  /** For one that has not been told to run. */
  abandon(): void {
    void this.thread.terminate()
  }

  async end(milliseconds: number): Promise<void> {
    const deadline = setTimeout(() => void this.terminate(), this.failure === null ? milliseconds : 0)
    await this.exited
    clearTimeout(deadline)
  }

  private async terminate(): Promise<void> {
    if (this.app.file !== null && this.steps.inApp) this.failure ??= await this.findStuck()
    this.failure ??= lateWorker()
    await this.thread.terminate()
  }
}

function threadFor(spec: WorkerSpec, recruits: Recruits): Thread {
  let thread: Thread | null = null
  try {
    thread = recruits.take()
    thread.worker.postMessage(spec)
    return thread
  } catch (error) {
    void thread?.terminate()
    throw spec.app.file === null ? failureOf(error) : mistakeInJob(error, spec.app.file)
  }
}

function lateWorker(): IxyError {
  const what = 'a worker did not end in time: what it counted last is missing'
  return new IxyError('IXY_ERR_WORKER', what, 'run again on a less busy machine')
}

function endedByItself({ name, file }: WorkerSpec['app']): IxyError {
  if (file === null) return new IxyError('IXY_ERR_WORKER', 'a data-plane worker has ended by itself')
  return new IxyError(
    'IXY_ERR_APP',
    `${file}: app ${name} has ended its own thread`,
    'leave out process.exit()',
  )
}

function mistakeInJob(error: unknown, file: string): IxyError {
  if (!(error instanceof Error && error.name === 'DataCloneError')) return failureOf(error)
  const what = `${file}: a job of its plan can't be handed to a worker: ${error.message}`
  return new IxyError('IXY_ERR_APP', what, 'plan() returns data, no functions')
}

/** What a worker died of. */
function failureOf(cause: unknown): IxyError {
  if (isIxyError(cause)) return asIxyError(cause)
  const { code, message } = asIxyError(cause)
  const own = code === 'IXY_ERR_INTERNAL' ? 'IXY_ERR_WORKER' : code
  return new IxyError(own, `a data-plane worker failed: ${message}`, '', { cause })
}
