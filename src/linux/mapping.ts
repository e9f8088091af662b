/** Memory mappings, and JavaScript's view of them. */
import { constants } from 'node:buffer'
import koffi from 'koffi'
import { IxyError } from '../errors.ts'
import { check, declare, lastErrno, LinuxError, MAP_FAILED } from './libc.ts'

export const PROT_NONE = 0
export const PROT_READ = 1
export const PROT_WRITE = 2
export const MAP_SHARED = 0x01
export const MAP_PRIVATE = 0x02
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_HUGETLB = 0x40000
/** Address space without memory behind it. */
export const MAP_NORESERVE = 0x4000
/** Page tables are filled at once: nothing faults later, and a lack of memory shows now. */
export const MAP_POPULATE = 0x8000

const libcMmap = declare<
  (
    address: bigint,
    bytes: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number | bigint,
  ) => bigint
>('void *mmap(void *address, size_t bytes, int protection, int flags, int fd, int64_t offset)')
const libcMunmap = declare<(address: bigint, bytes: number) => number>(
  'int munmap(void *address, size_t bytes)',
)
const libcMlock = declare<(address: bigint, bytes: number) => number>(
  'int mlock(const void *address, size_t bytes)',
)
const libcMunlock = declare<(address: bigint, bytes: number) => number>(
  'int munlock(const void *address, size_t bytes)',
)

const libcGetpagesize = declare<() => number>('int getpagesize()')

/** Bytes of the system's ordinary memory page. */
export const PAGE_BYTES = libcGetpagesize()

export interface MapOptions {
  /** PROT_…; default: read and write. */
  readonly protection?: number
  /** MAP_…; default: shared if there is a file, else private and anonymous. */
  readonly flags?: number
  /** -1, the default, for memory without a file. */
  readonly fd?: number
  /** Where in the file the mapping starts, in bytes. */
  readonly offset?: number | bigint
  /** Where to map; binding with MAP_FIXED, else a hint. */
  readonly address?: bigint
}

/** Maps `bytes` bytes and returns their address. The caller unmaps them with munmap. Throws LinuxError. */
export function mmap(bytes: number, options: MapOptions = {}): bigint {
  const { protection = PROT_READ | PROT_WRITE, fd = -1, offset = 0, address = 0n } = options
  const flags = options.flags ?? (fd === -1 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED)
  const result = libcMmap(address, bytes, protection, flags, fd, offset)
  if (result === MAP_FAILED) throw new LinuxError('mmap', lastErrno(), `of ${bytes} bytes`)
  return result
}

/** Gives the mapping back. A view of it must never be touched again: the process would be killed by SIGSEGV. */
export function munmap(address: bigint, bytes: number): void {
  check(libcMunmap(address, bytes), 'munmap')
}

/** Keeps the pages in memory, at the same physical address for ordinary purposes. Throws LinuxError (ENOMEM: limit). */
export function mlock(address: bigint, bytes: number): void {
  check(libcMlock(address, bytes), 'mlock', `of ${bytes} bytes`)
}

export function munlock(address: bigint, bytes: number): void {
  check(libcMunlock(address, bytes), 'munlock')
}

/**
 * The `bytes` bytes at `address` as an ArrayBuffer, without a copy. It doesn't own them: the garbage collector never
 * frees them, and munmap leaves it dangling. A worker thread given the address makes its own view.
 *
 * koffi.view aborts the process for a null pointer and for more than Node.js can view, hence the checks here.
 */
export function viewOf(address: bigint, bytes: number): ArrayBuffer {
  if (address <= 0n || address >= MAP_FAILED)
    throw new IxyError('IXY_ERR_INTERNAL', `no memory to view at address 0x${address.toString(16)}`)
  if (!Number.isSafeInteger(bytes) || bytes <= 0)
    throw new IxyError('IXY_ERR_INTERNAL', `a view of ${bytes} bytes is impossible`)
  if (bytes > constants.MAX_LENGTH)
    throw new IxyError(
      'IXY_ERR_SYSTEM',
      `this Node.js (${process.version}) can't view ${bytes} bytes of memory at once`,
      'use fewer or smaller rings and pools, or Node.js 22 or later',
    )
  return koffi.view(address, bytes)
}

/** The address of memory that is not on JavaScript's heap and stays where it is, as a WebAssembly memory's does. */
export function addressOf(buffer: ArrayBuffer): bigint {
  return koffi.address(new Uint8Array(buffer))
}
