/**
 * What a failed call to the operating system means for the user: which limit was hit, and how to raise it. The one table
 * for both ways in which such failures come: as errno of our own calls (linux/libc.ts), and as errors of Node.js.
 */
export interface Remedy {
  /** What has happened, in place of the C library's words. */
  readonly reason?: string
  /** One imperative sentence. */
  readonly fix: string
}

const THREADS: Remedy = {
  reason: 'the limit on processes and threads was hit (ulimit -u, or pids.max of the cgroup)',
  fix: 'raise it, or end other processes',
}

const REMEDIES: Readonly<Record<string, Remedy>> = {
  EMFILE: {
    reason: 'the limit on open files was hit (ulimit -n)',
    fix: 'raise it: ulimit -n 4096',
  },
  ENFILE: {
    reason: "the whole system's limit on open files was hit",
    fix: 'end other programs, or raise the sysctl fs.file-max',
  },
  EFBIG: {
    reason: 'the limit on the size of files was hit (ulimit -f)',
    fix: 'raise it: ulimit -f unlimited',
  },
  ENOMEM: {
    reason: 'there is not enough memory, or a limit on it was hit (ulimit -v, or memory.max of the cgroup)',
    fix: 'end other programs, or raise the limit',
  },
  ENOSPC: { fix: 'make room' },
  EDQUOT: { fix: 'make room, or raise the quota' },
  EROFS: { fix: 'use a folder that can be written to' },
}

/** Calls whose EAGAIN means that there may be no more threads; elsewhere it means "try again". */
const STARTS = /^(fork|clone|pthread_create|spawn\b.*)$/

/** What to tell about `errno` (its name) of a system call; null if the C library's own words say it all. */
export function remedyFor(errno: string, syscall: string): Remedy | null {
  if (errno === 'EAGAIN') return STARTS.test(syscall) ? THREADS : null
  if (errno === 'ENOENT' && syscall === 'uv_cwd')
    return { reason: 'the working directory has been deleted', fix: 'change to one that exists, as in: cd /' }
  return Object.hasOwn(REMEDIES, errno) ? REMEDIES[errno] : null
}

/** What a process of Node.js meant that died with these last words; null if they say nothing of a limit. */
export function remedyForLastWords(text: string): Remedy | null {
  if (/(uv_thread|pthread)_create/.test(text)) return THREADS
  if (/JavaScript heap out of memory/.test(text)) return heapRemedy()
  return null
}

function heapRemedy(): Remedy {
  return {
    reason: 'the limit on the memory of JavaScript was hit',
    fix: `raise or leave out --max-old-space-size${inNodeOptions()}`,
  }
}

/** ` (NODE_OPTIONS is '--jitless')`; '' if it is not set. */
export function inNodeOptions(): string {
  const options = process.env['NODE_OPTIONS'] ?? ''
  return options === '' ? '' : ` (NODE_OPTIONS is '${options}')`
}

/** A failure of the system in the words of ixy-ts. */
export interface SystemFailure extends Remedy {
  readonly kind: 'system' | 'permission' | 'file'
  readonly reason: string
}

const DENIED = new Set(['EPERM', 'EACCES'])

export function isDenied(errno: string): boolean {
  return DENIED.has(errno)
}

/** What Node.js attaches to the errors it throws for the system's or its own sake. */
interface NodeError {
  readonly code: string
  readonly message: string
  readonly syscall?: unknown
  readonly path?: unknown
}

/** By its looks: one that came from a worker thread is no Error by any other test. */
function isNodeError(error: unknown): error is NodeError {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return false
  return typeof error.code === 'string' && typeof error.message === 'string'
}

/** Reads an error that Node.js has thrown because the system or its own options refused something; null for others. */
export function systemFailureOf(error: unknown): SystemFailure | null {
  if (!isNodeError(error)) return null
  const { code, message } = error
  if (code === 'ERR_WORKER_INIT_FAILED') {
    const remedy = remedyFor(/\bE[A-Z]+\b/.exec(message.replace(code, ''))?.[0] ?? '', 'pthread_create')
    const reason = `a thread can't be started: ${remedy?.reason ?? message}`
    return { kind: 'system', reason, fix: remedy?.fix ?? '' }
  }
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return { kind: 'system', reason: message, ...heapRemedy() }
  if (code === 'ERR_DLOPEN_DISABLED' || code === 'ERR_ACCESS_DENIED')
    return { kind: 'system', reason: message, fix: `run Node.js without that restriction${inNodeOptions()}` }
  if (typeof error.syscall !== 'string') return null
  const remedy = remedyFor(code, error.syscall)
  const named = typeof error.path === 'string' && !error.syscall.includes(error.path)
  const kind = remedy !== null ? 'system' : DENIED.has(code) ? 'permission' : named ? 'file' : 'system'
  if (remedy?.reason === undefined) return { kind, reason: message, fix: remedy?.fix ?? '' }
  const what = `${error.syscall}${named ? ` '${error.path}'` : ''}: ${code}, ${remedy.reason}`
  return { kind, reason: what, fix: remedy.fix }
}
