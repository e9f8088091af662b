/** The MAC addresses of virtual NICs: unicast, and locally administered unless chosen. */
import { createHash, randomUUID } from 'node:crypto'
import { realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { readText } from '../linux/sysfs.ts'

/** Of a NIC that lives as long as its command: the same name in the same place gives the same address. */
export function macOfName(name: string): Uint8Array {
  const hash = sha256(name)
  return Uint8Array.of(0x02, 0x82, 0x59, hash[0], hash[1], hash[2])
}

/**
 * Of a server behind a socket: 46 bits that nobody else has, the same for each start on this socket until the next boot.
 * Nothing is stored: the kernel's number of this boot is random, and where the socket is tells it from all others of
 * this boot. The folder's inode is among that, since two containers may both have a `/run/nic.sock`. The folder must
 * exist. Throws what realpath throws.
 */
export function macOfSocket(socket: string): Uint8Array {
  const folder = realpathSync(path.dirname(path.resolve(socket)))
  const full = path.join(folder, path.basename(socket))
  const { dev, ino, birthtimeNs } = statSync(folder, { bigint: true })
  const boot = readText('/proc/sys/kernel/random/boot_id') ?? randomUUID()
  const mac = Uint8Array.from(sha256(`${boot} ${dev} ${ino} ${birthtimeNs} ${full}`).subarray(0, 6))
  mac[0] = (mac[0] & 0xfc) | 0x02
  return mac
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
