/**
 * Which of a client's memory is mapped here. A file that shrinks takes the memory of its mappings along, and who touches
 * that is killed (SIGBUS): all NICs of this process, for what one client has done. Node.js has no way to survive it.
 *
 *     sealed memfd (F_SEAL_SHRINK)            can't shrink: always taken
 *     memfd without the seal                  could have it: refused
 *     tmpfs, hugetlbfs, huge pages in a       can't be sealed, or not against all that takes pages away: taken from a client
 *     memfd                                   who could end this process anyway, if the file is nobody else's
 *     any other file                          may even make us wait for a disk or for another process: refused
 */
import { fstatSync, readlinkSync } from 'node:fs'
import { shrinkingOf } from '../../linux/file.ts'
import { pageBytesOf } from '../../linux/hugepages.ts'
import { PAGE_BYTES } from '../../linux/mapping.ts'

const ROOT = 0
const WRITABLE_BY_OTHERS = 0o022
const ANYWAY = 'or start the server with --allow-unsealed'

/** What speaks against mapping `fd`, '' if nothing does. `client`: the user on the other end. Asks no file system. */
export function objectionTo(fd: number, client: number): string {
  const shrinking = shrinkingOf(fd)
  if (shrinking === 'foreign')
    return `memory must be a memfd, or a file in tmpfs or hugetlbfs; use one (QEMU: memory-backend-memfd), ${ANYWAY}`
  if (shrinking === 'never' && pageBytesOf(fd) === PAGE_BYTES) return ''
  const memfd = isMemfd(fd)
  if (shrinking === 'possible' && memfd)
    return `the memfd can be truncated, which would end this process; seal it (F_SEAL_SHRINK; QEMU: seal=on), ${ANYWAY}`
  if (!isTrusted(client))
    return `memory that can't be sealed, from another user (uid ${client}); use a sealed memfd in ordinary pages, ${ANYWAY}`
  const { uid, mode } = fstatSync(fd)
  if (!memfd && (!isTrusted(uid) || (mode & WRITABLE_BY_OTHERS) !== 0))
    return `others than this user can truncate the file, which would end this process; make it this user's only, ${ANYWAY}`
  return ''
}

/** This user and root can end this process in any case. */
function isTrusted(uid: number): boolean {
  return uid === ROOT || uid === process.geteuid?.()
}

function isMemfd(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:')
}
