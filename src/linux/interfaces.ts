/** What the kernel does with a network interface. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InterfaceRequest } from './socket.ts'
import { readNumber } from './sysfs.ts'

const IFF_UP = 0x1
const SIOCGIFADDR = 0x8915

/**
 * Why taking the interface away from the kernel would hurt: it is up, has an address or a route. Null if it wouldn't.
 * `sysfs` is the directory of the interface in sysfs, `procNet` one like /proc/net.
 */
export function interfaceUse(name: string, sysfs: string, procNet = '/proc/net'): string | null {
  if (((readNumber(join(sysfs, 'flags')) ?? 0) & IFF_UP) !== 0) return 'is up'
  if (hasIpv4Address(name) || tableHas(join(procNet, 'if_inet6'), -1, name)) return 'has an address'
  if (tableHas(join(procNet, 'route'), 0, name) || tableHas(join(procNet, 'ipv6_route'), -1, name))
    return 'has a route'
  return null
}

/** What has no way of its own leaves by this interface. `procNet` as in interfaceUse(). */
export function hasDefaultRoute(name: string, procNet = '/proc/net'): boolean {
  const ipv4 = rowsOf(join(procNet, 'route')).some((row) => row[0] === name && row[1] === '00000000')
  // Destination, length of its prefix… A route that only says "unreachable" belongs to lo.
  const ipv6 = rowsOf(join(procNet, 'ipv6_route')).some((row) => row.at(-1) === name && row[1] === '00')
  return ipv4 || ipv6
}

/** An IPv4 address stays when the interface goes down; /proc doesn't tell whose it is. */
function hasIpv4Address(name: string): boolean {
  try {
    new InterfaceRequest(name).run('SIOCGIFADDR', SIOCGIFADDR)
    return true
  } catch {
    // EADDRNOTAVAIL: none. ENODEV: the interface has just gone.
    return false
  }
}

/** True if a line of the table has `name` in this column; -1 is the last. */
function tableHas(path: string, column: number, name: string): boolean {
  return rowsOf(path).some((row) => row.at(column) === name)
}

function rowsOf(path: string): string[][] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    // No IPv6 in this kernel.
    return []
  }
  return text.split('\n').map((line) => line.trim().split(/\s+/))
}

/** Frames that the kernel has counted as dropped or bad, since the interface exists. */
export interface InterfaceDrops {
  /** Received by way of the interface. */
  readonly received: number
  /** To be sent by way of it. */
  readonly sent: number
}

/** From the contents of a /proc/net/dev; null if the interface isn't in it. */
export function interfaceDrops(table: string, name: string): InterfaceDrops | null {
  for (const line of table.split('\n')) {
    // Receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes packets errs drop fifo…
    const colon = line.lastIndexOf(':')
    if (line.slice(0, colon).trim() !== name) continue
    const counters = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number)
    return { received: counters[2] + counters[3], sent: counters[10] + counters[11] }
  }
  return null
}
