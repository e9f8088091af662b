/** Why a child process can't be started, or isn't ready yet. */
import { spawnSync } from 'node:child_process'
import os from 'node:os'
import { type ErrorCode, IxyError, asIxyError } from '../errors.ts'
import { processState } from '../linux/process-state.ts'
import { remedyFor } from '../system-errors.ts'

export interface StartObstacle {
  readonly code: ErrorCode
  /** What to say behind "the process …". */
  readonly reason: string
  readonly fix: string
}

/** Milliseconds between two looks at the child. */
const LOOK_EVERY = 1000

/** Watches a child until end(). */
export class StartWatch {
  private readonly pid: number
  private readonly begin = performance.now()
  private readonly deadline: number
  private readonly timer: NodeJS.Timeout
  private ticks = -1

  /** `fail` is called at most once: when the child can't get any further, or after `deadline` milliseconds. */
  constructor(pid: number, deadline: number, fail: (obstacle: StartObstacle) => void) {
    this.pid = pid
    this.deadline = deadline
    this.timer = setInterval(() => {
      const obstacle = this.look()
      if (obstacle === null) return
      this.end()
      fail(obstacle)
    }, LOOK_EVERY)
  }

  end(): void {
    clearInterval(this.timer)
  }

  private look(): StartObstacle | null {
    const now = processState(this.pid)
    const rests = now !== null && now.state === 'S' && now.ticks === this.ticks
    this.ticks = now?.ticks ?? -1
    // Node.js doesn't say so when the system gives it no threads: it waits for what they were to do.
    if (rests && noMoreProcesses()) {
      const { reason = '', fix } = remedyFor('EAGAIN', 'fork') ?? { fix: '' }
      return { code: 'IXY_ERR_SYSTEM', reason: `gets no threads: ${reason}`, fix }
    }
    if (performance.now() - this.begin < this.deadline) return null
    return { code: 'IXY_ERR_WORKER', ...this.lateness(now?.state ?? '') }
  }

  private lateness(state: string): { reason: string; fix: string } {
    const late = `doesn't listen after ${this.deadline / 1000} s`
    if (/[Tt]/.test(state))
      return { reason: `${late}: it is stopped`, fix: `let it go on: kill -CONT ${this.pid}` }
    if (state === 'D')
      return { reason: `${late}: it waits for a disk`, fix: 'try again with files on a faster one' }
    if (os.loadavg()[0] > os.availableParallelism())
      return { reason: `${late}`, fix: 'try again on a less busy machine' }
    return { reason: `${late}`, fix: 'look what it waits for: strace -p of that pid' }
  }
}

/** True if the system refuses to start a process. (A folder can't be run, so nothing is.) */
function noMoreProcesses(): boolean {
  const { error } = spawnSync('/')
  return error !== undefined && 'code' in error && error.code === 'EAGAIN'
}

export function cantStart(program: string, cause: unknown): IxyError {
  const error = asIxyError(cause)
  const code = error.code === 'IXY_ERR_SYSTEM' ? error.code : 'IXY_ERR_WORKER'
  return new IxyError(code, `can't start ${program}: ${error.message}`, '', { cause })
}
