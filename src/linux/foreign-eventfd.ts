/**
 * Eventfds that another process has handed over, rung without ever waiting.
 *
 * write(2) to an eventfd blocks when its counter is full and O_NONBLOCK is off. Both are shared with whoever handed it over,
 * who can fill the one and clear the other at any moment, and the kernel knows no flag that makes a single write to an
 * eventfd return at once. But the kernel itself never waits when it rings one: at the end of an asynchronous read
 * (io_submit(2), IOCB_FLAG_RESFD) it adds 1, and a full counter stays full. So a read of nothing is submitted, which ends
 * at once. Linux can do that since 2.6.22.
 */
import { readlinkSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { createMemfd } from './file.ts'
import { check, declare, lastErrno, LinuxError, type Pointer } from './libc.ts'
import { mmap, viewOf } from './mapping.ts'

/** System calls have other numbers on each machine, and the C library has no functions for these. */
const CALLS =
  process.arch === 'x64'
    ? { setup: 206, getevents: 208, submit: 209 }
    : process.arch === 'arm64'
      ? { setup: 0, getevents: 4, submit: 2 }
      : null

const libcSetup = declare<(call: number, events: number, context: Pointer) => number>(
  'long syscall(long call, unsigned int events, void *context)',
)
const libcSubmit = declare<(call: number, context: bigint, count: number, list: bigint) => number>(
  'long syscall(long call, unsigned long context, long count, void *list)',
)
const libcGetevents = declare<
  (call: number, context: bigint, least: number, most: number, events: bigint, timeout: bigint) => number
>('long syscall(long call, unsigned long context, long least, long most, void *events, void *timeout)')

/** Reads that have ended and not been collected: the kernel takes no more of them than it was told to expect. */
const UNCOLLECTED = 64
/**
 * A page for the kernel: the list of one pointer, struct iocb { u64 data; u32 key, flags; u16 opcode; s16 priority; u32 fd;
 * u64 buffer, bytes; s64 offset; u64 reserved; u32 flags; u32 resfd }, and room for events.
 */
const IOCB = 64
const EVENTS = 1024
const IOCB_FLAG_RESFD = 1

interface Ringer {
  readonly calls: NonNullable<typeof CALLS>
  readonly context: bigint
  readonly address: bigint
  readonly view: DataView
  uncollected: number
}

let ringer: Ringer | undefined

/** Made at the first use and kept until the thread ends. */
function getRinger(): Ringer {
  ringer ??= makeRinger()
  return ringer
}

function makeRinger(): Ringer {
  const hint = 'a kernel with asynchronous I/O (CONFIG_AIO) and room in fs.aio-max-nr is needed'
  if (CALLS === null)
    throw new IxyError('IXY_ERR_SYSTEM', `no way to ring an eventfd safely on ${process.arch}`, hint)
  const context = new BigUint64Array(1)
  if (libcSetup(CALLS.setup, UNCOLLECTED, context) < 0)
    throw new IxyError('IXY_ERR_SYSTEM', `no way to ring an eventfd safely: io_setup: ${lastErrno()}`, hint)
  const address = mmap(4096)
  const view = new DataView(viewOf(address, 4096))
  view.setBigUint64(0, address + BigInt(IOCB), true)
  view.setInt32(IOCB + 20, createMemfd('nothing', 0), true)
  view.setBigUint64(IOCB + 24, address + BigInt(IOCB), true)
  view.setInt32(IOCB + 56, IOCB_FLAG_RESFD, true)
  return { calls: CALLS, context: context[0], address, view, uncollected: 0 }
}

/** True if `fd` is an eventfd that can be rung. Doesn't ring it. */
export function isEventFd(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventfd]'
  } catch (cause) {
    throw new IxyError(
      'IXY_ERR_SYSTEM',
      'what kind of descriptor a client has sent is not known without /proc',
      'mount it: mount -t proc proc /proc',
      { cause },
    )
  }
}

/**
 * Adds 1 to the counter of an eventfd, unless it is full. Never waits. Throws LinuxError (EINVAL: not an eventfd),
 * IXY_ERR_SYSTEM if this system can't do it.
 */
export function ringEventFd(fd: number): void {
  const own = getRinger()
  if (own.uncollected >= UNCOLLECTED) collect(own)
  own.view.setInt32(IOCB + 60, fd, true)
  check(libcSubmit(own.calls.submit, own.context, 1, own.address), 'io_submit')
  own.uncollected++
}

/** Throws IXY_ERR_SYSTEM if ringEventFd() can't work here. */
export function prepareToRing(): void {
  getRinger()
}

function collect(own: Ringer): void {
  const most = UNCOLLECTED
  const { calls, context, address } = own
  const count = libcGetevents(calls.getevents, context, 0, most, address + BigInt(EVENTS), 0n)
  if (count < 0) throw new LinuxError('io_getevents', lastErrno())
  own.uncollected -= count
}
