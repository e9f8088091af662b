/**
 * sendmsg and recvmsg with file descriptors (SCM_RIGHTS), which Node's `net` can't do.
 *
 * One arena per thread holds everything the kernel reads and writes, at fixed places:
 *
 *      0  struct msghdr    name, namelen, iov, iovlen, control, controllen, flags   (56 bytes)
 *     64  struct iovec     base, length                                             (16 bytes)
 *    128  control buffer   struct cmsghdr { size_t len; int level; int type } and descriptors
 *   4096  data             bytes pass through here, so that no pointer to memory that the garbage collector
 *                          could move is ever stored
 *
 * The calls are synchronous, so sockets of one thread share it without conflict.
 */
import { declare } from './libc.ts'
import { mmap, viewOf } from './mapping.ts'

const IOV = 64
const CONTROL = 128
const DATA = 4096
/** Bytes moved by one call at most. */
export const CHUNK = 64 * 1024
/** Descriptors per message at most; the kernel's own limit (SCM_MAX_FD). */
export const MAX_FDS = 253

const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const CMSG_HEADER = 16
const CONTROL_BYTES = CMSG_HEADER + ((MAX_FDS * 4 + 7) & ~7)

const MSG_CTRUNC = 0x8
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x4000_0000

const libcSendmsg = declare<(fd: number, message: bigint, flags: number) => number>(
  'long sendmsg(int fd, const void *message, int flags)',
)
const libcRecvmsg = declare<(fd: number, message: bigint, flags: number) => number>(
  'long recvmsg(int fd, void *message, int flags)',
)

interface Arena {
  readonly address: bigint
  readonly view: DataView
  readonly data: Uint8Array
}

let arena: Arena | undefined

/** Made at the first use and kept until the thread ends. */
function getArena(): Arena {
  if (arena !== undefined) return arena
  const address = mmap(DATA + CHUNK)
  const buffer = viewOf(address, DATA + CHUNK)
  const view = new DataView(buffer)
  view.setBigUint64(16, address + BigInt(IOV), true)
  view.setBigUint64(24, 1n, true)
  view.setBigUint64(IOV, address + BigInt(DATA), true)
  arena = { address, view, data: new Uint8Array(buffer, DATA, CHUNK) }
  return arena
}

/** Points the message header at `bytes` bytes of data and `controlBytes` of control buffer. */
function prepare({ address, view }: Arena, bytes: number, controlBytes: number): void {
  view.setBigUint64(32, controlBytes === 0 ? 0n : address + BigInt(CONTROL), true)
  view.setBigUint64(40, BigInt(controlBytes), true)
  view.setInt32(48, 0, true)
  view.setBigUint64(IOV + 8, BigInt(bytes), true)
}

/** The data area: fill it before sendBytes, read it after receiveBytes. Valid until the next call on this thread. */
export function dataArea(): Uint8Array {
  return getArena().data
}

/** Sends the first `bytes` bytes of the data area with `fds`, without waiting. Returns bytes sent, or -1 (see errno). */
export function sendBytes(socket: number, bytes: number, fds: readonly number[]): number {
  const memory = getArena()
  const { address, view } = memory
  const used = CMSG_HEADER + fds.length * 4
  prepare(memory, bytes, fds.length === 0 ? 0 : (used + 7) & ~7)
  view.setBigUint64(CONTROL, BigInt(used), true)
  view.setInt32(CONTROL + 8, SOL_SOCKET, true)
  view.setInt32(CONTROL + 12, SCM_RIGHTS, true)
  fds.forEach((fd, index) => view.setInt32(CONTROL + CMSG_HEADER + index * 4, fd, true))
  return libcSendmsg(socket, address, MSG_DONTWAIT | MSG_NOSIGNAL)
}

/**
 * Receives up to `bytes` bytes into the data area, without waiting, and appends descriptors that came along to `fds`
 * (close-on-exec, now the caller's). Returns bytes received, 0 at the end of the stream, or -1 (see errno).
 */
export function receiveBytes(socket: number, bytes: number, fds: number[]): number {
  const memory = getArena()
  prepare(memory, bytes, CONTROL_BYTES)
  const received = libcRecvmsg(socket, memory.address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
  if (received > 0) collectFds(memory.view, fds)
  return received
}

/** True if the message just received came with more descriptors than could be taken: this process has too many open. */
export function fdsWereLost(): boolean {
  return (getArena().view.getInt32(48, true) & MSG_CTRUNC) !== 0
}

function collectFds(view: DataView, fds: number[]): void {
  const end = CONTROL + Number(view.getBigUint64(40, true))
  let at = CONTROL
  while (at + CMSG_HEADER <= end) {
    const length = Number(view.getBigUint64(at, true))
    if (length < CMSG_HEADER) return
    if (view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS)
      for (let fd = at + CMSG_HEADER; fd + 4 <= at + length; fd += 4) fds.push(view.getInt32(fd, true))
    at += (length + 7) & ~7
  }
}
