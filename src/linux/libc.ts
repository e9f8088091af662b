/**
 * The C library, called through koffi, and the one way in which its calls fail.
 *
 * Calls are declared in the file of their topic (file.ts, mapping.ts, poll.ts…) with `declare`. Prototypes are those of
 * x86-64 and arm64 Linux: `long` and `size_t` have 64 bits. Variadic functions (open, fcntl, ioctl) are declared with
 * the fixed arguments they are called with; both ABIs pass integers and pointers alike in either form.
 *
 * Descriptors are opened and closed through these bindings, not through node:fs: a Node.js worker thread closes the
 * files that node:fs opened in it when it ends, and warns about those it didn't know.
 */
import { getSystemErrorMap } from 'node:util'
import koffi from 'koffi'
import { IxyError } from '../errors.ts'
import { isDenied, remedyFor } from '../system-errors.ts'

/**
 * A pointer argument: an address, or memory owned by JavaScript that the call may use until it returns.
 * Addresses are BigInts (null is 0n); the kernel's addresses don't fit a double in general.
 */
export type Pointer = bigint | NodeJS.ArrayBufferView

/** Value of a failed mmap: (void *)-1. */
export const MAP_FAILED = 0xffff_ffff_ffff_ffffn

const libc = koffi.load(null)

/** A system call that failed. `errno` is its name (`ENOENT`), so that callers can tell cases apart. */
export class LinuxError extends IxyError {
  readonly syscall: string
  readonly errno: string

  /** `detail` names what the call was about (a path, a size); it is shown in the message. */
  constructor(syscall: string, errno: string, detail = '') {
    const code = isDenied(errno) ? 'IXY_ERR_PERMISSION' : 'IXY_ERR_SYSTEM'
    const remedy = remedyFor(errno, syscall)
    const call = detail === '' ? syscall : `${syscall} ${detail}`
    super(code, `${call}: ${errno}, ${remedy?.reason ?? describe(errno)}`, remedy?.fix)
    this.syscall = syscall
    this.errno = errno
  }
}

/** Names and descriptions by number and by name, as Node.js has them. Made when the first call has failed: most runs need none. */
let errors: ReturnType<typeof readErrors> | undefined

function readErrors(): { byNumber: Map<number, string>; descriptions: Map<string, string> } {
  const all = [...getSystemErrorMap()]
  return {
    byNumber: new Map(all.map(([number, [name]]) => [-number, name])),
    descriptions: new Map(all.map(([, [name, description]]) => [name, description])),
  }
}

function describe(errno: string): string {
  return (errors ??= readErrors()).descriptions.get(errno) ?? 'unknown error'
}

/** Name of the error the calling thread's last call ended with. */
export function lastErrno(): string {
  const number = koffi.errno()
  return (errors ??= readErrors()).byNumber.get(number) ?? koffiName(number)
}

/** Its number. Allocates nothing. */
export function lastErrnoNumber(): number {
  return koffi.errno()
}

/** Node.js doesn't know every error of Linux (EBADFD…), koffi most. */
function koffiName(number: number): string {
  for (const [name, value] of Object.entries(koffi.os.errno)) if (value === number) return name
  return `E${number}`
}

/** A function of the C library. `prototype` is C; argument and result types are the caller's promise. */
export function declare<F extends (...args: never[]) => number | bigint>(prototype: string): F {
  return libc.func(prototype) as unknown as F
}

/**
 * The same, called in a thread of libuv's pool; `done` is called in this one when it has returned. What it points to must
 * stay until then.
 */
export function declareAsync<A extends unknown[]>(
  prototype: string,
): (...args: [...args: A, done: (error: unknown, result: number) => void]) => void {
  const { async: call } = libc.func(prototype)
  return call as (...args: unknown[]) => void
}

/** `result` of a call that returns -1 on failure; throws LinuxError then. */
export function check(result: number, syscall: string, detail = ''): number {
  if (result < 0) throw new LinuxError(syscall, lastErrno(), detail)
  return result
}

/** True if `error` is a LinuxError with one of these names. */
export function isErrno(error: unknown, ...names: string[]): error is LinuxError {
  return error instanceof LinuxError && names.includes(error.errno)
}
