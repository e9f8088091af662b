/**
 * TAP interfaces: a network interface whose cable ends in this process. What the kernel sends on it is read from a file
 * descriptor, what is written there the kernel receives. One read or write is one Ethernet frame without FCS.
 */
import { existsSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { close, O_RDWR, open, setNonBlocking } from './file.ts'
import { isErrno } from './libc.ts'
import { InterfaceRequest } from './socket.ts'
import { listNames } from './sysfs.ts'

/** linux/if.h, linux/if_tun.h */
const IFF_UP = 0x1
const IFF_TAP = 0x0002
const IFF_MULTI_QUEUE = 0x0100
/** Frames come without the four bytes of flags and protocol in front. */
const IFF_NO_PI = 0x1000
const TUNSETIFF = 0x4004_54ca
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914

/** What Linux keeps below net.ipv4.conf for all interfaces and for new ones: no interface can have these names. */
const RESERVED = new Set(['all', 'default'])

export interface Tap {
  /** Non-blocking; readable when the kernel has sent a frame. */
  readonly fd: number
  readonly name: string
  /** Unplugs the interface. It disappears unless it existed before (`ip tuntap add`). Idempotent. */
  close(): void
}

/**
 * Plugs into the TAP interface `name`, creating it if there is none, and brings it up if it is down.
 * Throws IXY_ERR_USAGE (no name for an interface, or of one of another kind), IXY_ERR_PERMISSION, IXY_ERR_DEVICE_IN_USE
 * (another program is plugged in), IXY_ERR_SYSTEM (no TUN/TAP in this kernel).
 */
export function openTap(name: string): Tap {
  checkInterfaceName(name)
  let fd = openTun()
  try {
    attach(fd, name)
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

/** Throws IXY_ERR_USAGE if no interface can have this name. The kernel's own rules (dev_valid_name), and no pattern. */
export function checkInterfaceName(name: string): void {
  if (RESERVED.has(name))
    throw new IxyError(
      'IXY_ERR_USAGE',
      `no network interface can be called '${name}': Linux keeps the name for itself (net.ipv4.conf.${name})`,
      'choose another name',
    )
  if (/^[^\s/:%]+$/.test(name) && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 15) return
  throw new IxyError(
    'IXY_ERR_USAGE',
    `'${name}' can't be the name of a network interface`,
    'use 1 to 15 bytes without spaces, slashes, colons and percent signs',
  )
}

function openTun(): number {
  try {
    return open('/dev/net/tun', O_RDWR)
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENODEV', 'ENXIO'))
      throw new IxyError('IXY_ERR_SYSTEM', 'this system has no /dev/net/tun', 'load it: sudo modprobe tun', {
        cause,
      })
    if (isErrno(cause, 'EACCES', 'EPERM'))
      throw new IxyError(
        'IXY_ERR_PERMISSION',
        'opening /dev/net/tun is not permitted',
        'run as root, or let users open it: sudo chmod 666 /dev/net/tun (what they may do with it stays limited)',
        { cause },
      )
    throw cause
  }
}

function attach(fd: number, name: string): void {
  try {
    try {
      setInterface(fd, name, IFF_TAP | IFF_NO_PI)
    } catch (error) {
      // One that was made with several queues wants to be asked for one of them.
      if (!isErrno(error, 'EINVAL')) throw error
      setInterface(fd, name, IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE)
      requireAlone(name)
    }
  } catch (cause) {
    if (isErrno(cause, 'EPERM', 'EACCES')) throw notYours(name, cause)
    if (isErrno(cause, 'EBUSY')) throw inUse(name, cause)
    if (isErrno(cause, 'EINVAL', 'EEXIST'))
      throw new IxyError(
        'IXY_ERR_USAGE',
        `${name} is a network interface of another kind, not a TAP`,
        "name a TAP, or one that doesn't exist yet: it is created",
        { cause },
      )
    throw cause
  }
}

function setInterface(fd: number, name: string, flags: number): void {
  const request = new InterfaceRequest(name)
  request.flags = flags
  request.run('TUNSETIFF', TUNSETIFF, fd)
}

/** The kernel shares frames out among all that have a queue: another one would get a part of ours. */
function requireAlone(name: string): void {
  const queues = listNames(`/sys/class/net/${name}/queues`).filter((queue) => queue.startsWith('tx-'))
  if (queues.length > 1) throw inUse(name)
}

function inUse(name: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `another program is plugged into the TAP interface ${name}`,
    'end it or choose another name',
    { cause },
  )
}

function bringUp(name: string): void {
  try {
    const request = new InterfaceRequest(name).run('SIOCGIFFLAGS', SIOCGIFFLAGS)
    if ((request.flags & IFF_UP) !== 0) return
    request.flags |= IFF_UP
    request.run('SIOCSIFFLAGS', SIOCSIFFLAGS)
  } catch (cause) {
    if (!isErrno(cause, 'EPERM', 'EACCES')) throw cause
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `${name} is down, and bringing it up is not permitted`,
      `run as root, or once: sudo ip link set ${name} up; then run again`,
      { cause },
    )
  }
}

function notYours(name: string, cause: unknown): IxyError {
  const exists = existsSync(`/sys/class/net/${name}`)
  return new IxyError(
    'IXY_ERR_PERMISSION',
    exists
      ? `the TAP interface ${name} belongs to another user`
      : `making the TAP interface ${name} is not permitted`,
    exists
      ? 'run as root, or choose another name'
      : `run as root, or once: sudo ip tuntap add dev ${name} mode tap user $USER; sudo ip link set ${name} up; then run again`,
    { cause },
  )
}
