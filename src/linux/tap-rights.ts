/** Who may plug into a TAP interface, and how the system says no. */
import { accessSync, constants, existsSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { isErrno } from './libc.ts'
import { readNumber, readText } from './sysfs.ts'

/** linux/if.h, linux/if_tun.h */
export const IFF_UP = 0x1
export const IFF_TAP = 0x0002
export const TUN = '/dev/net/tun'

/** 0 for what is neither a TAP nor a TUN interface. */
export function tunFlags(name: string): number {
  return Number(readText(`/sys/class/net/${name}/tun_flags`) ?? 0)
}

/**
 * Throws what openTap(name) would, as far as that can be known without plugging in: IXY_ERR_SYSTEM, IXY_ERR_PERMISSION, IXY_ERR_USAGE. That
 * another program is plugged in shows only there.
 */
export function requireTapRights(
  name: string,
  capabilities: readonly string[],
  uid = process.geteuid?.() ?? 0,
): void {
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK)
  } catch (cause) {
    throw tunRefusal(cause)
  }
  const folder = `/sys/class/net/${name}`
  if (existsSync(folder) && (tunFlags(name) & IFF_TAP) === 0) throw otherKind(name)
  if (capabilities.includes('net_admin')) return
  // -1 or a missing file: nobody's.
  if (readNumber(`${folder}/owner`) !== uid) throw notYours(name)
  if (((readNumber(`${folder}/flags`) ?? 0) & IFF_UP) === 0) throw staysDown(name)
}

/** `cause`: of not being able to open TUN. */
export function tunRefusal(cause: unknown): unknown {
  const code = isErrno(cause, 'ENOENT', 'ENODEV', 'ENXIO', 'EACCES', 'EPERM') ? cause.errno : codeOf(cause)
  if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO')
    return new IxyError('IXY_ERR_SYSTEM', `this system has no ${TUN}`, 'load it: sudo modprobe tun', {
      cause,
      commands: ['sudo modprobe tun'],
    })
  if (code === 'EACCES' || code === 'EPERM')
    return new IxyError(
      'IXY_ERR_PERMISSION',
      `opening ${TUN} is not permitted`,
      `run as root, or let users open it: sudo chmod 666 ${TUN} (what they may do with it stays limited)`,
      { cause, commands: [`sudo chmod 666 ${TUN}`] },
    )
  return cause
}

/** Of errors of node:fs. */
function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined
}

/** `cause`: of not being able to plug in. */
export function refusal(name: string, cause: unknown): unknown {
  if (isErrno(cause, 'EPERM', 'EACCES')) return notYours(name, cause)
  if (isErrno(cause, 'EBUSY', 'E2BIG')) return inUse(name, cause)
  if (isErrno(cause, 'EINVAL', 'EEXIST')) return otherKind(name, cause)
  return cause
}

function otherKind(name: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_USAGE',
    `${name} is a network interface of another kind, not a TAP`,
    "name a TAP, or one that doesn't exist yet: it is created",
    { cause },
  )
}

/** Another program has its queues. */
export function inUse(name: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `another program is plugged into the TAP interface ${name}`,
    'end it or choose another name',
    { cause },
  )
}

/** It is down, and this user may not change that. */
export function staysDown(name: string, cause?: unknown): IxyError {
  const command = `sudo ip link set ${name} up`
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `${name} is down, and bringing it up is not permitted`,
    `run as root, or once: ${command}; then run again`,
    { cause, commands: [command] },
  )
}

function notYours(name: string, cause?: unknown): IxyError {
  const exists = existsSync(`/sys/class/net/${name}`)
  const commands = [`sudo ip tuntap add dev ${name} mode tap user $USER`, `sudo ip link set ${name} up`]
  return new IxyError(
    'IXY_ERR_PERMISSION',
    exists
      ? `the TAP interface ${name} belongs to another user`
      : `making the TAP interface ${name} is not permitted`,
    exists
      ? 'run as root, or choose another name'
      : `run as root, or once: ${commands.join('; ')}; then run again`,
    { cause, commands: exists ? [] : commands },
  )
}
