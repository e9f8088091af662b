/**
 * One error class for everything that can fail, with a stable code a script can match on.
 *
 * A message says what failed and where; `fix` says what to do next. Both are one line.
 */

import { inNodeOptions, systemFailureOf } from './system-errors.ts'

/** Every error code and the exit code it leads to (README, "In a script"). */
export const EXIT_CODES = {
  /** A command line that makes no sense. */
  IXY_ERR_USAGE: 2,
  /** A file named on the command line (capture, output) can't be read, written or understood. */
  IXY_ERR_FILE: 2,
  /** No device at that address, no server behind that socket. */
  IXY_ERR_DEVICE_NOT_FOUND: 3,
  /** There is a device, but not a NIC this driver knows. */
  IXY_ERR_DEVICE_UNSUPPORTED: 3,
  /** The kernel or another ixy-ts uses the device. */
  IXY_ERR_DEVICE_IN_USE: 3,
  /** `stats` found nothing to show. */
  IXY_ERR_NOTHING_TO_SHOW: 3,
  /** Not permitted: root, a capability or a group is missing. */
  IXY_ERR_PERMISSION: 4,
  /** Huge pages are not set up or used up. */
  IXY_ERR_NO_HUGEPAGES: 4,
  /** No VFIO, no IOMMU, or a group that isn't ours alone. */
  IXY_ERR_NO_VFIO: 4,
  /** RLIMIT_MEMLOCK is too small. */
  IXY_ERR_MEMLOCK: 4,
  /** The operating system, its C library or this Node.js lacks something else. */
  IXY_ERR_SYSTEM: 4,
  /** The device went away: surprise removal, a server that died. */
  IXY_ERR_DEVICE_GONE: 1,
  /** A register didn't get to the state the datasheet promises, or was used against its definition. */
  IXY_ERR_REGISTER: 1,
  /** DMA memory couldn't be mapped, or an address lies outside of it. */
  IXY_ERR_DMA: 1,
  /** The peer broke the vfio-user protocol. */
  IXY_ERR_PROTOCOL: 1,
  /** A file could be opened but not be written to its end: disk full. */
  IXY_ERR_OUTPUT: 1,
  /** A capture could be opened but not be read to its end: damaged, or changed while it was played. */
  IXY_ERR_INPUT: 1,
  /** An app of the user's made a mistake: an exception, a step that never ends, a plan that can't be carried out. */
  IXY_ERR_APP: 1,
  /** A worker thread or child process died. */
  IXY_ERR_WORKER: 1,
  /** An app broke the rules of packet buffers: an id that is no buffer's, one given back twice. */
  IXY_ERR_BUFFER: 1,
  /** --check has found a mistake of an app's with its packet buffers. */
  IXY_ERR_CHECK: 1,
  /** A run did not end in order: a second signal came, or its end took too long. */
  IXY_ERR_STOP: 1,
  /** A bug in ixy-ts. */
  IXY_ERR_INTERNAL: 1,
  /** An --expect-… was not met. */
  IXY_ERR_EXPECTATION: 5,
} as const

/** What a script can go by; stands in brackets at the end of an error's line on stderr. */
export type ErrorCode = keyof typeof EXIT_CODES

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(EXIT_CODES, value)
}

export interface IxyErrorOptions extends ErrorOptions {
  /** What the fix is in a shell, line by line, where it can be said so. */
  readonly commands?: readonly string[]
}

/** Whatever goes wrong: its message says what, where and what to do next, in one line. */
export class IxyError extends Error {
  override readonly name = 'IxyError'
  readonly code: ErrorCode
  /** What the user can do about it, one imperative sentence without a full stop; '' when nothing helps. */
  readonly fix: string
  /** The same as commands for a shell; [] if that is no matter of commands. */
  readonly commands: readonly string[]

  constructor(code: ErrorCode, what: string, fix = '', options: IxyErrorOptions = {}) {
    super(fix === '' ? what : `${what}; ${fix}`, options)
    this.code = code
    this.fix = fix
    this.commands = options.commands ?? []
  }

  get exitCode(): number {
    return EXIT_CODES[this.code]
  }
}

/** What was written makes no sense; `fix` says what is allowed. */
export function usageError(what: string, fix = ''): IxyError {
  return new IxyError('IXY_ERR_USAGE', what, fix)
}

const KINDS = {
  system: 'IXY_ERR_SYSTEM',
  permission: 'IXY_ERR_PERMISSION',
  file: 'IXY_ERR_FILE',
} as const

/** One of this class, whichever copy of it has made it: between threads it loses its class, but not its code. */
export function isIxyError(error: unknown): error is Error & { readonly code: ErrorCode } {
  return error instanceof Error && error.name === 'IxyError' && 'code' in error && isErrorCode(error.code)
}

/**
 * Anything thrown, as an IxyError with the original as cause. What the system refused gets the name of the limit;
 * what is left is a bug of ours, IXY_ERR_INTERNAL.
 */
export function asIxyError(error: unknown): IxyError {
  if (error instanceof IxyError) return error
  // Of another thread, or of another copy of this file: the library that an app imports has one.
  if (isIxyError(error)) return new IxyError(error.code, error.message, '', { cause: error })
  const failure = systemFailureOf(error)
  if (failure !== null) {
    return new IxyError(KINDS[failure.kind], failure.reason, failure.fix, { cause: error })
  }
  const message = error instanceof Error ? error.message : String(error)
  const report = 'please report it with the output of --log-level debug'
  const fix = inNodeOptions() === '' ? report : `try without NODE_OPTIONS; if it fails still, ${report}`
  return new IxyError('IXY_ERR_INTERNAL', message, fix, { cause: error })
}
