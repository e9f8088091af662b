/**
 * The virtual 82599s of a command (`virtual:<wire>`), from the command's side: one child process plays them all.
 * See src/vnic/child-protocol.ts for what the two say to each other.
 */
import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundle } from '../bundles.ts'
import { IxyError } from '../errors.ts'
import { type PrivateDirectory, takePrivateDirectory } from '../linux/runtime-dir.ts'
import type { FromChild, NicReport, ToChild } from '../vnic/child-protocol.ts'
import { StartWatch, cantStart, deathOf } from './start-watch.ts'
import { forkNics } from './virtual-process.ts'

export interface VirtualSpec {
  /** As the user wrote it: `virtual:gen`. */
  readonly name: string
  /** `gen` */
  readonly wire: string
}

/** Milliseconds for the child to start and listen; Node.js itself needs 50 to 500 of them. */
const START_DEADLINE = 15_000
/** Milliseconds for the child to close its files and TAPs before it is killed, if nobody says otherwise. */
const STOP_DEADLINE = 2_000
/** The same when somebody waits for the end and it has nothing to close yet. */
const STOP_IN_A_HURRY = 200
/** Milliseconds without a word after which it is stopped or hangs: while it is asked something, it speaks up every second. */
const SILENCE = 2_500
const LOOK_EVERY = 20
/** How much of what a dying child says is kept for --log-level debug, characters. */
const LAST_WORDS = 4_000

/** Told what the NICs have to say to the user. */
export type NicLog = (level: 'warning' | 'progress', text: string) => void

/** True when nobody may wait any longer. */
export type Late = () => boolean

export interface StartOptions {
  /** They verify checksums and report packet types. Default: no, as the drivers of this program don't read them. */
  readonly inspect?: boolean
  /** Told what is noteworthy about captures. */
  readonly log?: NicLog
  /** What the child runs; by default what this package has for it. */
  readonly program?: string
  readonly stop?: AbortSignal
}

type Settle = (result: readonly NicReport[] | IxyError) => void

export class VirtualNics {
  /** Paths of the vfio-user sockets, in the order of the specs. */
  readonly sockets: readonly string[]
  /** Process id of the child. */
  readonly pid: number
  readonly names: string
  /** Called when a wire has ended, and when the child has failed or died. */
  onNews = (): void => undefined
  private readonly directory: PrivateDirectory
  private readonly child: ChildProcess
  private readonly requests = new Map<number, Settle>()
  private nextId = 1
  private newest: readonly NicReport[] = []
  /** `newest` are the last counts there will be: the child has ended and said them. */
  private final = false
  private failure: IxyError | null = null
  private lastWords = ''
  private closing = false
  /** It has left a question unanswered, and will not listen to the end either. */
  private silent = false
  /** When it said anything, performance.now(). */
  private heardAt = 0
  private readonly exited: Promise<void>
  private readonly log: NicLog

  private constructor(
    directory: PrivateDirectory,
    specs: readonly VirtualSpec[],
    log: NicLog,
    program: string,
  ) {
    this.log = log
    this.directory = directory
    this.names = [...new Set(specs.map((spec) => spec.name))].join(', ')
    this.sockets = specs.map((_, i) => path.join(directory.path, `${i}.sock`))
    const child = forkNics(program)
    this.child = child
    this.pid = child.pid ?? 0
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.lastWords = (this.lastWords + text).slice(-LAST_WORDS)
    })
    child.on('message', (message: FromChild) => this.receive(message))
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.fail(cantStart(program, error))
        resolve()
      })
      // `close` rather than `exit`: all messages and last words have arrived by then.
      child.once('close', (code, signal) => {
        const how = signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`
        this.fail(deathOf(`the process of ${this.names} (pid ${this.pid}) ${how}`, this.lastWords))
        resolve()
      })
    })
  }

  /**
   * Starts the child and waits until every NIC listens. The sockets are in a directory that only this user can enter, under
   * `runtime` if that can be. A NIC that can't be had (a wire's file is missing…) is the IxyError of its child; IXY_ERR_STOP
   * if `stop` is aborted meanwhile.
   */
  static async start(
    runtime: string | null,
    specs: readonly VirtualSpec[],
    { inspect = false, log = () => undefined, program = bundle('vnic-child.cjs'), stop }: StartOptions = {},
  ): Promise<VirtualNics> {
    const directory = takePrivateDirectory(runtime, specs.length)
    let nics: VirtualNics
    try {
      nics = new VirtualNics(directory, specs, log, program)
    } catch (error) {
      directory.release()
      throw cantStart(program, error)
    }
    const stopped = (): void =>
      nics.fail(new IxyError('IXY_ERR_STOP', `stopped before ${nics.names} was there`))
    stop?.addEventListener('abort', stopped)
    if (stop?.aborted === true) stopped()
    try {
      await nics.listening(specs, inspect)
      return nics
    } catch (error) {
      await nics.close(stop?.aborted === true ? STOP_IN_A_HURRY : STOP_DEADLINE)
      throw error
    } finally {
      stop?.removeEventListener('abort', stopped)
    }
  }

  /** Throws the reason if the child has failed or died. */
  assertAlive(): void {
    if (this.failure !== null) throw this.failure
  }

  /**
   * Why the child has failed or died, if it says so within `milliseconds`; else null. Its sockets close at the same time,
   * and that is noticed first as often as not.
   */
  async failureWithin(milliseconds: number): Promise<IxyError | null> {
    const deadline = performance.now() + milliseconds
    while (this.failure === null && performance.now() < deadline) await sleep(10)
    return this.failure
  }

  /** Its NICs don't answer: nothing is waited for any more. */
  giveUp(): void {
    this.silent = true
  }

  /** What the NICs said last; they speak up by themselves when a wire has ended or all is settled. [] before that. */
  latest(): readonly NicReport[] {
    return this.newest
  }

  /**
   * What the NICs have to say at the end, when nothing moves any more, one report each. Of a child that has died or doesn't
   * answer before it is `late` the last that is known; `final` is false unless it has said that it was its last.
   */
  async finalReports(late: Late): Promise<{ reports: readonly NicReport[]; final: boolean }> {
    const answer = await this.request('report', late).catch(() => null)
    return answer === null ? { reports: this.newest, final: this.final } : { reports: answer, final: true }
  }

  /**
   * Stops the wires, and resolves when what they have sent has come out again or nothing moves any more. The apps must
   * keep forwarding meanwhile. Rejects with an IxyError if the child fails or falls silent, or if it is
   * `late`.
   */
  quiesce(late: Late): Promise<readonly NicReport[]> {
    return this.request('quiesce', late)
  }

  /** Resolves when captures hold all that the NICs have sent. Rejects if they can't, or take too long. */
  async flush(late: Late): Promise<void> {
    await this.request('flush', late)
  }

  /**
   * Ends the child, kills it if it hasn't closed its files and TAPs within `milliseconds`, and removes the sockets.
   * Returns what went wrong, null if nothing. Idempotent, never rejects.
   */
  async close(milliseconds = STOP_DEADLINE): Promise<IxyError | null> {
    if (!this.closing) {
      this.closing = true
      this.send({ type: 'stop' })
    }
    const before = this.failure
    const deadline = setTimeout(
      () => {
        const what = `the process of ${this.names} (pid ${this.pid}) was killed while it closed its files`
        this.fail(new IxyError('IXY_ERR_OUTPUT', what, 'a capture may lack its end: record to a faster disk'))
        this.child.kill('SIGKILL')
      },
      this.silent ? 0 : milliseconds,
    )
    await this.exited
    clearTimeout(deadline)
    this.directory.release()
    return before === null && this.failure?.code !== 'IXY_ERR_DEVICE_GONE' ? this.failure : null
  }

  private async listening(specs: readonly VirtualSpec[], inspect: boolean): Promise<void> {
    const nics = specs.map((spec, i) => ({ ...spec, socket: this.sockets[i] }))
    const start = new StartWatch(this.pid, START_DEADLINE, (obstacle) => {
      const what = `the process of ${this.names} (pid ${this.pid}) ${obstacle.reason}`
      this.fail(new IxyError(obstacle.code, what, obstacle.fix))
    })
    const answer = this.waitFor(0)
    this.send({ type: 'start', nics, inspect })
    try {
      await answer
    } finally {
      start.end()
    }
  }

  private async request(type: 'report' | 'quiesce' | 'flush', late: Late): Promise<readonly NicReport[]> {
    const id = this.nextId++
    const answer = this.waitFor(id)
    const asked = performance.now()
    const looks = setInterval(() => {
      const now = performance.now()
      if (!this.silent && !late() && now - Math.max(asked, this.heardAt) < SILENCE) return
      this.silent = true
      const what = `the process of ${this.names} (pid ${this.pid}) didn't answer within ${((now - asked) / 1000).toFixed(1)} s`
      this.requests.get(id)?.(new IxyError('IXY_ERR_WORKER', what, 'its last counts are missing: run again'))
    }, LOOK_EVERY)
    this.send({ type, id })
    try {
      return await answer
    } finally {
      clearInterval(looks)
    }
  }

  private waitFor(id: number): Promise<readonly NicReport[]> {
    if (this.failure !== null) return Promise.reject(this.failure)
    return new Promise((resolve, reject) => {
      this.requests.set(id, (result) => {
        this.requests.delete(id)
        if (result instanceof IxyError) reject(result)
        else resolve(result)
      })
    })
  }

  private receive(message: FromChild): void {
    this.heardAt = performance.now()
    switch (message.type) {
      case 'listening':
        this.requests.get(0)?.([])
        break
      case 'report':
        this.take(message.nics)
        if (message.id !== null) this.requests.get(message.id)?.(message.nics)
        break
      case 'log':
        this.log(message.level, message.text)
        break
      case 'error':
        if (message.nics.length > 0) this.newest = message.nics
        this.final = message.nics.length > 0
        this.fail(new IxyError(message.code, message.message))
    }
  }

  private take(reports: readonly NicReport[]): void {
    const ended = (nics: readonly NicReport[]): number => nics.filter((nic) => nic.ended).length
    const news = ended(reports) !== ended(this.newest)
    this.newest = reports
    if (news) this.onNews()
  }

  private send(message: ToChild): void {
    // A channel that has closed is reported by the child's end.
    if (this.child.connected) this.child.send(message, () => undefined)
  }

  /** The first failure is the one that counts. */
  private fail(error: IxyError): void {
    this.failure ??= error
    this.onNews()
    for (const settle of [...this.requests.values()]) settle(this.failure)
  }
}
