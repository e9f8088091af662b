/** File descriptors: files, memfds, eventfds, control calls. */
import { constants, fstatSync, statSync } from 'node:fs'
import { check, declare, lastErrno, LinuxError, type Pointer } from './libc.ts'

export const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_SYNC, O_NONBLOCK } = constants
export const { O_DIRECTORY, O_NOFOLLOW } = constants
const O_CLOEXEC = 0o2000000

/** Of every architecture. C libraries before 2.34 have no function for it. */
export const SYS_CLOSE_RANGE = 436

const libcOpen = declare<(path: string, flags: number, mode: number) => number>(
  'int open(const char *path, int flags, unsigned int mode)',
)
const libcClose = declare<(fd: number) => number>('int close(int fd)')
const libcRead = declare<(fd: number, target: Pointer, bytes: number) => number>(
  'long read(int fd, void *target, size_t bytes)',
)
const libcWrite = declare<(fd: number, source: Pointer, bytes: number) => number>(
  'long write(int fd, const void *source, size_t bytes)',
)
const libcPread = declare<(fd: number, target: Pointer, bytes: number, offset: number | bigint) => number>(
  'long pread(int fd, void *target, size_t bytes, int64_t offset)',
)
const libcPwrite = declare<(fd: number, source: Pointer, bytes: number, offset: number | bigint) => number>(
  'long pwrite(int fd, const void *source, size_t bytes, int64_t offset)',
)
const libcFtruncate = declare<(fd: number, bytes: number) => number>('int ftruncate(int fd, int64_t bytes)')
const libcFcntl = declare<(fd: number, command: number, value: number) => number>(
  'int fcntl(int fd, int command, long value)',
)
const libcIoctl = declare<(fd: number, request: number, argument: Pointer) => number>(
  'int ioctl(int fd, unsigned long request, void *argument)',
)
const libcIoctlInt = declare<(fd: number, request: number, value: number) => number>(
  'int ioctl(int fd, unsigned long request, long value)',
)
const libcFlock = declare<(fd: number, operation: number) => number>('int flock(int fd, int operation)')
const libcMemfdCreate = declare<(name: string, flags: number) => number>(
  'int memfd_create(const char *name, unsigned int flags)',
)
const libcEventfd = declare<(value: number, flags: number) => number>(
  'int eventfd(unsigned int value, int flags)',
)

/** Opens `path` (close-on-exec). `mode` counts with O_CREAT. The caller closes the descriptor. Throws LinuxError. */
export function open(path: string, flags: number, mode = 0o600): number {
  return check(libcOpen(path, flags | O_CLOEXEC, mode), 'open', path)
}

/** Closes `fd`. An error is ignored: the descriptor is gone either way (close(2)). */
export function close(fd: number): void {
  libcClose(fd)
}

/** Bytes read into `target`, 0 at the end of the file. Throws LinuxError. */
export function read(fd: number, target: NodeJS.ArrayBufferView): number {
  return check(libcRead(fd, target, target.byteLength), 'read')
}

/** Bytes of `source` that were written. Throws LinuxError. */
export function write(fd: number, source: NodeJS.ArrayBufferView): number {
  return check(libcWrite(fd, source, source.byteLength), 'write')
}

/**
 * Reads up to `bytes` bytes from a non-blocking descriptor to `target`. Returns -1 if there is nothing to read now.
 * Throws LinuxError. Allocates nothing.
 */
export function tryRead(fd: number, target: Pointer, bytes: number): number {
  const count = libcRead(fd, target, bytes)
  return count < 0 ? wouldBlock('read') : count
}

/** Writes up to `bytes` bytes to a non-blocking descriptor. Returns -1 if it takes none now. Throws LinuxError. */
export function tryWrite(fd: number, source: Pointer, bytes: number): number {
  const count = libcWrite(fd, source, bytes)
  return count < 0 ? wouldBlock('write') : count
}

function wouldBlock(syscall: string): -1 {
  const errno = lastErrno()
  if (errno === 'EAGAIN' || errno === 'EINTR') return -1
  throw new LinuxError(syscall, errno)
}

/** As read, from byte `offset` of the file. */
export function pread(fd: number, target: NodeJS.ArrayBufferView, offset: number | bigint): number {
  return check(libcPread(fd, target, target.byteLength, offset), 'pread', `at ${offset}`)
}

/** As write, to byte `offset` of the file. */
export function pwrite(fd: number, source: NodeJS.ArrayBufferView, offset: number | bigint): number {
  return check(libcPwrite(fd, source, source.byteLength, offset), 'pwrite', `at ${offset}`)
}

/** Sets the file's size. Throws LinuxError. */
export function ftruncate(fd: number, bytes: number): void {
  check(libcFtruncate(fd, bytes), 'ftruncate', `to ${bytes} bytes`)
}

const F_DUPFD_CLOEXEC = 1030

/** A second descriptor of the same open file. The caller closes it. Throws LinuxError. */
export function duplicate(fd: number): number {
  return check(libcFcntl(fd, F_DUPFD_CLOEXEC, 0), 'fcntl F_DUPFD')
}

const F_GETFL = 3
const F_SETFL = 4

/** Makes reads and writes of `fd` return at once when they can't proceed. */
export function setNonBlocking(fd: number): void {
  const flags = check(libcFcntl(fd, F_GETFL, 0), 'fcntl')
  check(libcFcntl(fd, F_SETFL, flags | O_NONBLOCK), 'fcntl')
}

const F_SETFD = 2

/** A program that replaces this one gets `fd` as well, if it is open. */
export function tryKeepOverExec(fd: number): void {
  libcFcntl(fd, F_SETFD, 0)
}

/** ioctl with a pointer to a structure. `name` is the request's name, for the error. Returns what the call returns. */
export function ioctl(fd: number, name: string, request: number, argument: Pointer): number {
  return check(libcIoctl(fd, request, argument), `ioctl ${name}`)
}

/** ioctl with an integer instead of a pointer. */
export function ioctlInt(fd: number, name: string, request: number, value: number): number {
  return check(libcIoctlInt(fd, request, value), `ioctl ${name}`)
}

const LOCK_EX = 2
const LOCK_NB = 4

/**
 * Locks the open file (flock): until its last descriptor is closed, at the latest when the process ends, however it
 * ends. Returns false if somebody else has it.
 */
export function tryLock(fd: number): boolean {
  if (libcFlock(fd, LOCK_EX | LOCK_NB) === 0) return true
  const errno = lastErrno()
  if (errno === 'EAGAIN' || errno === 'EINTR') return false
  throw new LinuxError('flock', errno)
}

/** True if `path` still leads to the file that `fd` is open on. */
export function isFileAt(fd: number, path: string): boolean {
  try {
    return statSync(path, { bigint: true }).ino === fstatSync(fd, { bigint: true }).ino
  } catch {
    return false
  }
}

const MFD_CLOEXEC = 0x1
const MFD_ALLOW_SEALING = 0x2
const MFD_HUGETLB = 0x4
const MFD_HUGE_SHIFT = 26

const F_ADD_SEALS = 1033
const F_GET_SEALS = 1034
const F_SEAL_SEAL = 0x1
const F_SEAL_SHRINK = 0x2
const F_SEAL_GROW = 0x4

/**
 * An anonymous file in memory, `bytes` long. With `pageBytes` it lives in huge pages of that size (`bytes` must be a
 * multiple). The caller closes it. Throws LinuxError.
 */
export function createMemfd(name: string, bytes: number, pageBytes?: number): number {
  return makeMemfd(name, bytes, pageBytes, 0)
}

/**
 * As createMemfd, but of a size that nobody can change any more: whoever is given the descriptor can't truncate the file
 * under a mapping of ours, which would kill this process.
 */
export function createSealedMemfd(name: string, bytes: number, pageBytes?: number): number {
  return makeMemfd(name, bytes, pageBytes, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
}

function makeMemfd(name: string, bytes: number, pageBytes: number | undefined, seals: number): number {
  const huge = pageBytes === undefined ? 0 : MFD_HUGETLB | (Math.log2(pageBytes) << MFD_HUGE_SHIFT)
  const sealing = seals === 0 ? 0 : MFD_ALLOW_SEALING
  const fd = check(libcMemfdCreate(name, MFD_CLOEXEC | sealing | huge), 'memfd_create', name)
  try {
    ftruncate(fd, bytes)
    if (seals !== 0) check(libcFcntl(fd, F_ADD_SEALS, seals), 'fcntl F_ADD_SEALS', name)
  } catch (error) {
    close(fd)
    throw error
  }
  return fd
}

/** What can become of the size of a file in memory. */
export type Shrinking =
  /** Sealed: nobody can make it smaller. */
  | 'never'
  /** It is in memory (memfd, tmpfs, hugetlbfs) and can be truncated. */
  | 'possible'
  /** No file in memory: on a disk, in a network, in another process (FUSE). Touching a mapping may wait for those. */
  | 'foreign'

/** Asks no file system, so it doesn't wait for any. */
export function shrinkingOf(fd: number): Shrinking {
  const seals = libcFcntl(fd, F_GET_SEALS, 0)
  if (seals < 0) return 'foreign'
  return (seals & F_SEAL_SHRINK) === 0 ? 'possible' : 'never'
}

const EFD_CLOEXEC = 0o2000000

/** A non-blocking event counter, 0 at first. The caller closes it. */
export function createEventFd(): number {
  return check(libcEventfd(0, EFD_CLOEXEC | O_NONBLOCK), 'eventfd')
}

const counter = new BigUint64Array(1)

/** Adds 1 to the counter of an eventfd: whoever polls it wakes. */
export function signalEventFd(fd: number): void {
  counter[0] = 1n
  tryWrite(fd, counter, 8)
}

/** Sets the counter of an eventfd to 0. Returns true if it was above. */
export function drainEventFd(fd: number): boolean {
  return tryRead(fd, counter, 8) === 8
}
