/**
 * TAP interfaces: a network interface whose cable ends in this process. What the kernel sends on it is read from a file
 * descriptor, what is written there the kernel receives. One read or write is one Ethernet frame without FCS.
 */
import { IxyError } from '../errors.ts'
import { close, ioctl, ioctlInt, O_RDWR, open, setNonBlocking } from './file.ts'
import { isErrno } from './libc.ts'
import { InterfaceRequest } from './socket.ts'
import { listNames } from './sysfs.ts'
import { IFF_TAP, IFF_UP, inUse, refusal, staysDown, TUN, tunFlags, tunRefusal } from './tap-rights.ts'

/** linux/if.h, linux/if_tun.h */
const IFF_MULTI_QUEUE = 0x0100
/** Frames come without the four bytes of flags and protocol in front. */
const IFF_NO_PI = 0x1000
/** Each frame comes behind a struct virtio_net_hdr, and is to be written behind one. */
const IFF_VNET_HDR = 0x4000
const TUNSETIFF = 0x4004_54ca
const TUNSETOFFLOAD = 0x4004_54d0
const TUNSETCARRIER = 0x4004_54e2
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914
const SIOCGIFHWADDR = 0x8927

/** What Linux keeps below net.ipv4.conf for all interfaces and for new ones: no interface can have these names. */
const RESERVED = new Set(['all', 'default'])

/** What the kernel may leave to who reads from a TAP (TUNSETOFFLOAD). */
const TUN_F = { CSUM: 0x01, TSO4: 0x02, TSO6: 0x04, TSO_ECN: 0x08, USO4: 0x20, USO6: 0x40 } as const

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
    attach(fd, name, IFF_TAP | IFF_NO_PI)
    // One that somebody was killed at may still leave checksums and segmentation to the reader.
    ioctlInt(fd, 'TUNSETOFFLOAD', TUNSETOFFLOAD, 0)
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

/** A TAP with several queues, each frame behind a virtio_net_hdr of 10 bytes (TUNGETVNETHDRSZ's default). */
export interface TapQueues {
  /** One per queue, non-blocking; the kernel keeps a flow in one queue. */
  readonly fds: readonly number[]
  readonly name: string
  /** Of the interface, which is the kernel's end: six bytes. */
  readonly mac: Uint8Array
  /**
   * Lets the kernel leave checksums of TCP and UDP, and cutting them into packets, to us, as far as it can. It then takes large
   * packets of these from us as well.
   */
  leaveWork(): { readonly tcp: boolean; readonly udp: boolean }
  /** Lets the interface have a carrier, or none: `NO-CARRIER` of `ip link`. Since Linux 5.0; nothing happens before. */
  setCarrier(on: boolean): void
  /** As in Tap. */
  close(): void
}

/**
 * As openTap, but with `count` queues. Throws IXY_ERR_DEVICE_UNSUPPORTED for an interface that was made for one, if more are
 * asked for.
 */
export function openTapQueues(name: string, count: number): TapQueues {
  checkInterfaceName(name)
  const fds: number[] = []
  const closeAll = (): void => {
    for (const fd of fds.splice(0)) close(fd)
  }
  const leave = (work: number): boolean => {
    try {
      ioctlInt(fds[0], 'TUNSETOFFLOAD', TUNSETOFFLOAD, work)
      return true
    } catch (error) {
      if (isErrno(error, 'EINVAL')) return false
      throw error
    }
  }
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
  let mac: Uint8Array
  try {
    for (let queue = 0; queue < count; queue++) {
      fds.push(openTun())
      if (count === 1) attach(fds[0], name, flags)
      else attachOneOf(fds[queue], name, flags | IFF_MULTI_QUEUE)
      setNonBlocking(fds[queue])
    }
    if (count > 1) requireAlone(name, count)
    leave(0)
    mac = new InterfaceRequest(name).run('SIOCGIFHWADDR', SIOCGIFHWADDR).hardwareAddress
    bringUp(name)
  } catch (error) {
    closeAll()
    throw error
  }
  return {
    // A copy: its owner may have posted it to a worker.
    fds: [...fds],
    name,
    mac,
    leaveWork() {
      const { CSUM, TSO4, TSO6, TSO_ECN, USO4, USO6 } = TUN_F
      const tcp = CSUM | TSO4 | TSO6 | TSO_ECN
      // Of UDP since Linux 6.2.
      const udp = leave(tcp | USO4 | USO6)
      return { udp, tcp: udp || leave(tcp) }
    },
    setCarrier(on) {
      try {
        ioctl(fds[0], 'TUNSETCARRIER', TUNSETCARRIER, Int32Array.of(on ? 1 : 0))
      } catch (error) {
        // EBADFD: the interface has been deleted, which others find out.
        if (!isErrno(error, 'EINVAL', 'ENOTTY', 'EBADFD')) throw error
      }
    },
    close() {
      if (fds.length === 0) return
      try {
        // Who plugs into it next may not know of any of it.
        leave(0)
      } catch {
        // The interface has been deleted.
      }
      closeAll()
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
    return open(TUN, O_RDWR)
  } catch (cause) {
    throw tunRefusal(cause)
  }
}

function attach(fd: number, name: string, flags: number): void {
  try {
    setInterface(fd, name, flags)
  } catch (cause) {
    if (!isErrno(cause, 'EINVAL')) throw refusal(name, cause)
    // One that was made with several queues wants to be asked for one of them.
    attachOneOf(fd, name, flags | IFF_MULTI_QUEUE)
    requireAlone(name, 1)
  }
}

/** Takes one of several queues. */
function attachOneOf(fd: number, name: string, flags: number): void {
  try {
    setInterface(fd, name, flags)
  } catch (cause) {
    if (isErrno(cause, 'EINVAL') && hasOneQueue(name))
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `the TAP interface ${name} was made for one queue`,
        `use --queues 1, or make it with several: sudo ip link delete ${name}; sudo ip tuntap add dev ${name} mode tap multi_queue user $USER`,
        { cause },
      )
    throw refusal(name, cause)
  }
}

/** It is a TAP, and wasn't made with several. */
function hasOneQueue(name: string): boolean {
  const flags = tunFlags(name)
  return (flags & IFF_TAP) !== 0 && (flags & IFF_MULTI_QUEUE) === 0
}

/** The TAP interfaces there are. */
export function tapNames(): string[] {
  return listNames('/sys/class/net').filter((name) => (tunFlags(name) & IFF_TAP) !== 0)
}

function setInterface(fd: number, name: string, flags: number): void {
  const request = new InterfaceRequest(name)
  request.flags = flags
  request.run('TUNSETIFF', TUNSETIFF, fd)
}

/** The kernel shares frames out among all that have a queue: another one would get a part of ours. */
function requireAlone(name: string, ours: number): void {
  const queues = listNames(`/sys/class/net/${name}/queues`).filter((queue) => queue.startsWith('tx-'))
  if (queues.length > ours) throw inUse(name)
}

function bringUp(name: string): void {
  try {
    const request = new InterfaceRequest(name).run('SIOCGIFFLAGS', SIOCGIFFLAGS)
    if ((request.flags & IFF_UP) !== 0) return
    request.flags |= IFF_UP
    request.run('SIOCSIFFLAGS', SIOCSIFFLAGS)
  } catch (cause) {
    if (!isErrno(cause, 'EPERM', 'EACCES')) throw cause
    throw staysDown(name, cause)
  }
}
