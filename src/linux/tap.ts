/**
 * TAP interfaces: a network interface whose cable ends in this process. What the kernel sends on it is read from a file
 * descriptor, what is written there the kernel receives. One read or write is one Ethernet frame without FCS.
 */
import { IxyError } from '../errors.ts'
import { close, ioctl, O_RDWR, open, setNonBlocking } from './file.ts'
import { check, declare, isErrno } from './libc.ts'

/** linux/if.h, linux/if_tun.h: struct ifreq is a name of 16 bytes and a union of 24. */
const IFREQ_BYTES = 40
const IF_NAME_BYTES = 16
const IFF_UP = 0x1
const IFF_TAP = 0x0002
/** Frames come without the four bytes of flags and protocol in front. */
const IFF_NO_PI = 0x1000
const TUNSETIFF = 0x4004_54ca
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914

const AF_INET = 2
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000

const libcSocket = declare<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
)

export interface Tap {
  /** Non-blocking; readable when the kernel has sent a frame. */
  readonly fd: number
  readonly name: string
  /** Unplugs the interface. It disappears unless it existed before (`ip tuntap add`). Idempotent. */
  close(): void
}

/**
 * Plugs into the TAP interface `name`, creating it if there is none, and brings it up.
 * Throws IXY_ERR_USAGE (no name for an interface), IXY_ERR_PERMISSION, IXY_ERR_DEVICE_IN_USE (another program is
 * plugged in), IXY_ERR_SYSTEM (no TUN/TAP in this kernel, or the interface is of another kind).
 */
export function openTap(name: string): Tap {
  const request = interfaceRequest(name)
  let fd = openTun()
  try {
    new DataView(request.buffer).setUint16(IF_NAME_BYTES, IFF_TAP | IFF_NO_PI, true)
    attach(fd, name, request)
    setNonBlocking(fd)
    bringUp(name)
  } catch (error) {
    close(fd)
    throw error
  }
  return {
    fd,
    name,
    close() {
      if (fd !== -1) close(fd)
      fd = -1
    },
  }
}

function interfaceRequest(name: string): Uint8Array<ArrayBuffer> {
  // The kernel's own rules (dev_valid_name), and no pattern.
  if (!/^[^\s/:%]{1,15}$/.test(name) || name === '.' || name === '..')
    throw new IxyError(
      'IXY_ERR_USAGE',
      `'${name}' can't be the name of a network interface`,
      'use 1 to 15 characters without spaces, slashes, colons and percent signs',
    )
  const request = new Uint8Array(IFREQ_BYTES)
  const bytes = Buffer.from(name)
  if (bytes.length >= IF_NAME_BYTES)
    throw new IxyError('IXY_ERR_USAGE', `the interface name '${name}' is too long`, 'use up to 15 bytes')
  request.set(bytes)
  return request
}

function openTun(): number {
  try {
    return open('/dev/net/tun', O_RDWR)
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENODEV', 'ENXIO'))
      throw new IxyError('IXY_ERR_SYSTEM', 'this system has no /dev/net/tun', 'load it: sudo modprobe tun', {
        cause,
      })
    if (isErrno(cause, 'EACCES', 'EPERM')) throw notPermitted('opening /dev/net/tun', cause)
    throw cause
  }
}

function attach(fd: number, name: string, request: Uint8Array): void {
  try {
    ioctl(fd, 'TUNSETIFF', TUNSETIFF, request)
  } catch (cause) {
    if (isErrno(cause, 'EPERM', 'EACCES')) throw notPermitted(`using the TAP interface ${name}`, cause)
    if (isErrno(cause, 'EBUSY'))
      throw new IxyError(
        'IXY_ERR_DEVICE_IN_USE',
        `another program is plugged into the TAP interface ${name}`,
        'end it or choose another name',
        { cause },
      )
    if (isErrno(cause, 'EINVAL', 'EEXIST'))
      throw new IxyError(
        'IXY_ERR_SYSTEM',
        `there is an interface ${name}, but it is no TAP interface`,
        'choose another name',
        { cause },
      )
    throw cause
  }
}

function bringUp(name: string): void {
  const socket = check(libcSocket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket')
  try {
    const request = interfaceRequest(name)
    const view = new DataView(request.buffer)
    ioctl(socket, 'SIOCGIFFLAGS', SIOCGIFFLAGS, request)
    const flags = view.getUint16(IF_NAME_BYTES, true)
    if ((flags & IFF_UP) !== 0) return
    view.setUint16(IF_NAME_BYTES, flags | IFF_UP, true)
    ioctl(socket, 'SIOCSIFFLAGS', SIOCSIFFLAGS, request)
  } catch (cause) {
    if (isErrno(cause, 'EPERM', 'EACCES')) throw notPermitted(`bringing ${name} up`, cause)
    throw cause
  } finally {
    close(socket)
  }
}

function notPermitted(what: string, cause: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `${what} is not permitted`,
    'run as root, or with CAP_NET_ADMIN',
    { cause },
  )
}
