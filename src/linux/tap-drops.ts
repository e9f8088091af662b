/** What the kernel itself drops on a TAP interface, wherever the interface has been moved. */
import { fstatSync } from 'node:fs'
import { close, ioctlInt, O_RDONLY, open } from './file.ts'
import { type InterfaceDrops, interfaceDrops } from './interfaces.ts'
import { check, declare } from './libc.ts'
import { InterfaceRequest } from './socket.ts'
import { readText } from './sysfs.ts'

/** linux/if_tun.h */
const TUNGETIFF = 0x8004_54d2
const TUNGETDEVNETNS = 0x54e3
const CLONE_NEWNET = 0x4000_0000

const libcSetns = declare<(fd: number, type: number) => number>('int setns(int fd, int type)')

/**
 * The counters of the interface behind a TAP's descriptor; `gone` once it is deleted, null where they can't be seen (no
 * /proc; another network namespace, and no permission to look into it). Some ten system calls.
 */
export function tapDrops(fd: number): InterfaceDrops | 'gone' | null {
  let name: string
  try {
    // It may have been renamed.
    name = new InterfaceRequest('').run('TUNGETIFF', TUNGETIFF, fd).name
  } catch {
    return 'gone'
  }
  const table = interfacesNear(fd)
  return table === null ? null : interfaceDrops(table, name)
}

/** /proc/net/dev of the network namespace that the interface is in. */
function interfacesNear(tap: number): string | null {
  let there: number
  try {
    there = ioctlInt(tap, 'TUNGETDEVNETNS', TUNGETDEVNETNS, 0)
  } catch {
    // Not permitted: it is ours as long as nobody who may do so has moved it.
    return readTable()
  }
  let here = -1
  try {
    here = open('/proc/thread-self/ns/net', O_RDONLY)
    if (fstatSync(here).ino === fstatSync(there).ino) return readTable()
    // This thread goes there and comes back. First without moving: where that is refused, so would be the way back.
    if (libcSetns(here, CLONE_NEWNET) !== 0 || libcSetns(there, CLONE_NEWNET) !== 0) return null
    try {
      return readTable()
    } finally {
      check(libcSetns(here, CLONE_NEWNET), 'setns')
    }
  } finally {
    if (here !== -1) close(here)
    close(there)
  }
}

function readTable(): string | null {
  return readText('/proc/thread-self/net/dev')
}
