/** Sockets as far as Node.js doesn't offer them: the calls behind unix-socket.ts, and ioctls on interfaces. */
import { IxyError } from '../errors.ts'
import { close, ioctl } from './file.ts'
import { check, declare, type Pointer } from './libc.ts'

const AF_UNIX = 1
const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_SEQPACKET = 5
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SHUT_RDWR = 2
/** sizeof(sockaddr_un.sun_path), with the terminating zero. */
export const PATH_BYTES = 108

const libcSocket = declare<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
)
const libcSocketpair = declare<(domain: number, type: number, protocol: number, fds: Pointer) => number>(
  'int socketpair(int domain, int type, int protocol, void *fds)',
)
const libcBind = declare<(fd: number, name: Pointer, bytes: number) => number>(
  'int bind(int fd, const void *name, unsigned int bytes)',
)
const libcListen = declare<(fd: number, backlog: number) => number>('int listen(int fd, int backlog)')
const libcConnect = declare<(fd: number, name: Pointer, bytes: number) => number>(
  'int connect(int fd, const void *name, unsigned int bytes)',
)
const libcShutdown = declare<(fd: number, how: number) => number>('int shutdown(int fd, int how)')
const libcAccept = declare<(fd: number, name: bigint, bytes: bigint, flags: number) => number>(
  'int accept4(int fd, void *name, void *bytes, int flags)',
)

const libcGetsockopt = declare<
  (fd: number, level: number, name: number, value: Pointer, bytes: Pointer) => number
>('int getsockopt(int fd, int level, int name, void *value, void *bytes)')

const SOL_SOCKET = 1
const SO_PEERCRED = 17

/** The user at the other end of an AF_UNIX connection, as of the moment it was made. Throws LinuxError. */
export function peerUidOf(fd: number): number {
  // struct ucred { pid_t pid; uid_t uid; gid_t gid }
  const credentials = new Uint32Array(3)
  const length = Uint32Array.of(credentials.byteLength)
  check(libcGetsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length), 'getsockopt')
  return credentials[1]
}

/** A connection carries bytes, or messages that stay as they were sent. */
export type UnixKind = 'stream' | 'seqpacket'

/** A non-blocking AF_UNIX socket. The caller closes it. */
export function createUnixSocket(kind: UnixKind): number {
  const type = kind === 'stream' ? SOCK_STREAM : SOCK_SEQPACKET
  return check(libcSocket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket')
}

/** Two of them, connected to each other. */
export function createUnixPair(): [number, number] {
  const fds = new Int32Array(2)
  check(libcSocketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 'socketpair')
  return [fds[0], fds[1]]
}

/** struct sockaddr_un for `path`. Throws IXY_ERR_USAGE if no socket can have this path. */
export function unixName(path: string): Uint8Array {
  const bytes = Buffer.from(path)
  if (bytes.length === 0 || bytes.length >= PATH_BYTES || bytes.includes(0))
    throw new IxyError(
      'IXY_ERR_USAGE',
      `the socket path '${path}' has ${bytes.length} bytes`,
      `use one of 1 to ${PATH_BYTES - 1} bytes`,
    )
  const name = new Uint8Array(2 + bytes.length + 1)
  name[0] = AF_UNIX
  name.set(bytes, 2)
  return name
}

// These return -1 on failure, see lastErrno: what a failure means depends on the caller.

export function tryBind(fd: number, name: Uint8Array): number {
  return libcBind(fd, name, name.byteLength)
}

export function tryListen(fd: number, backlog: number): number {
  return libcListen(fd, backlog)
}

export function tryConnect(fd: number, name: Uint8Array): number {
  return libcConnect(fd, name, name.byteLength)
}

/** Neither end sends any more; what has been sent can still be received. */
export function tryShutdown(fd: number): number {
  return libcShutdown(fd, SHUT_RDWR)
}

/** The next connection as a non-blocking socket. */
export function tryAccept(fd: number): number {
  return libcAccept(fd, 0n, 0n, SOCK_NONBLOCK | SOCK_CLOEXEC)
}

/** struct ifreq (linux/if.h): the interface's name in 16 bytes, then a union, of which flags and the MAC address are used here. */
export class InterfaceRequest {
  readonly bytes = new Uint8Array(40)

  constructor(name: string) {
    this.bytes.set(Buffer.from(name).subarray(0, 15))
  }

  get name(): string {
    return Buffer.from(this.bytes.subarray(0, 16)).toString().replace(/\0.*/s, '')
  }

  get flags(): number {
    return this.bytes[16] | (this.bytes[17] << 8)
  }

  set flags(flags: number) {
    this.bytes[16] = flags & 0xff
    this.bytes[17] = flags >>> 8
  }

  /** After SIOCGIFHWADDR: six bytes behind two of the address's kind. */
  get hardwareAddress(): Uint8Array {
    return this.bytes.slice(18, 24)
  }

  /** An ioctl about the interface on a socket made for it, or on `fd`. Throws LinuxError. */
  run(name: string, request: number, fd?: number): this {
    const socket = fd ?? check(libcSocket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket')
    try {
      ioctl(socket, name, request, this.bytes)
    } finally {
      if (fd === undefined) close(socket)
    }
    return this
  }
}
