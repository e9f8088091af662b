/**
 * Memory for devices.
 *
 * Devices that see physical addresses get files in hugetlbfs: the pages are large (few addresses to look up), never
 * swapped and never moved, and a file outlives its process. The last matters when the process is killed: the card goes
 * on writing received packets until its next reset, and must not hit memory that has meanwhile become somebody else's.
 * Everyone else gets an anonymous file (memfd), gone with the process.
 */
import { fstatSync, statfsSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { close, createSealedMemfd, ftruncate, O_CREAT, O_EXCL, O_RDWR, open, tryLock } from './file.ts'
import {
  findHugepageMounts,
  type HugepageMount,
  noMount,
  notEnough,
  notLocked,
  notWritable,
  sharedSizes,
} from './hugepage-supply.ts'
import { isErrno, LinuxError } from './libc.ts'
import { abandonedBy } from './lock-file.ts'
import { MAP_POPULATE, MAP_SHARED, mlock, mmap, munmap, PAGE_BYTES } from './mapping.ts'
import { runtimeDirectoryOrNull } from './runtime-dir.ts'
import { listNames } from './sysfs.ts'

/** Zeroed memory, one mapping of one file, all pages present. */
export interface HugepageBlock {
  readonly address: bigint
  /** A multiple of `pageBytes`. */
  readonly bytes: number
  readonly fd: number
  readonly pageBytes: number
  /** The file in hugetlbfs; '' for a memfd. */
  readonly path: string
}

/** HUGETLBFS_MAGIC of Linux's magic.h. */
const HUGETLBFS = 0x958458f6

/**
 * Bytes of the pages that the memory behind a file comes in: huge ones if it is in hugetlbfs, a memfd included. What is
 * mapped of the file starts and ends with one, at an address that is a multiple of it.
 */
export function pageBytesOf(fd: number): number {
  const { type, bsize } = statfsSync(`/proc/self/fd/${fd}`)
  return type === HUGETLBFS ? bsize : PAGE_BYTES
}

/**
 * At least `bytes` of locked memory in huge pages, in a file named after this process; of `pageBytes` each if given,
 * else of the smallest size of which there are enough. Give it back with releaseBlock.
 * Throws IXY_ERR_NO_HUGEPAGES, IXY_ERR_PERMISSION, IXY_ERR_MEMLOCK.
 */
export function allocateHugepages(
  bytes: number,
  pageBytes?: number,
  mounts: readonly HugepageMount[] = findHugepageMounts(),
): HugepageBlock {
  const suitable = mounts.filter((mount) => pageBytes === undefined || mount.pageBytes === pageBytes)
  let failure: IxyError | undefined
  for (const mount of suitable) {
    try {
      return allocateIn(mount, Math.ceil(bytes / mount.pageBytes) * mount.pageBytes)
    } catch (error) {
      if (!(error instanceof IxyError) || error.code === 'IXY_ERR_MEMLOCK') throw error
      failure ??= error
    }
  }
  throw failure ?? noMount(pageBytes)
}

let counter = 0

function allocateIn(mount: HugepageMount, bytes: number): HugepageBlock {
  const { fd, path } = createFile(mount.path)
  try {
    ftruncate(fd, bytes)
    const address = mmap(bytes, { fd, flags: MAP_SHARED | MAP_POPULATE })
    const block = { address, bytes, fd, pageBytes: mount.pageBytes, path }
    lock(block)
    return block
  } catch (error) {
    close(fd)
    unlinkSync(path)
    if (!isErrno(error, 'ENOMEM') || error.syscall !== 'mmap') throw error
    throw notEnough(mount, bytes / mount.pageBytes, undefined, error)
  }
}

/** A new file, locked by this process so that nobody takes it for an abandoned one. */
function createFile(directory: string): { fd: number; path: string } {
  while (true) {
    const path = join(directory, `ixy-ts-${process.pid}-${counter++}`)
    let fd: number
    try {
      fd = open(path, O_RDWR | O_CREAT | O_EXCL)
    } catch (error) {
      if (isErrno(error, 'EEXIST')) continue
      if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw notWritable(directory, error)
      throw error
    }
    // Another starting process may just be looking whether this file is abandoned (and then remove it).
    if (tryLock(fd) && fstatSync(fd).nlink > 0) return { fd, path }
    close(fd)
  }
}

function lock(block: HugepageBlock): void {
  try {
    mlock(block.address, block.bytes)
  } catch (error) {
    munmap(block.address, block.bytes)
    if (!(error instanceof LinuxError)) throw error
    throw notLocked(block.bytes, error)
  }
}

/**
 * At least `bytes` of memory in an anonymous file: in huge pages if there are enough free ones, else in ordinary ones.
 * Other processes map it by its descriptor, and can't make it smaller. Give it back with releaseBlock. Throws LinuxError when memory is short.
 */
export function allocateShared(bytes: number): HugepageBlock {
  for (const { pageBytes, rounded } of sharedSizes(bytes)) {
    try {
      return mapMemfd(rounded, pageBytes, pageBytes)
    } catch (error) {
      // Somebody else was faster, or this user may not have them.
      if (!(error instanceof LinuxError)) throw error
    }
  }
  return mapMemfd(Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES, PAGE_BYTES)
}

function mapMemfd(bytes: number, pageBytes: number, hugePageBytes?: number): HugepageBlock {
  const fd = createSealedMemfd('ixy-ts', bytes, hugePageBytes)
  try {
    const address = mmap(bytes, { fd, flags: MAP_SHARED | MAP_POPULATE })
    return { address, bytes, fd, pageBytes, path: '' }
  } catch (error) {
    close(fd)
    throw error
  }
}

/** Unmaps the block and removes its file. The device must no longer use it: reset, or switched off the bus. */
export function releaseBlock(block: HugepageBlock): void {
  munmap(block.address, block.bytes)
  if (block.path !== '') {
    try {
      unlinkSync(block.path)
    } catch {
      // Removed by hand.
    }
  }
  close(block.fd)
}

/**
 * Removes the files of processes that were killed, and returns their paths. To be called when the devices of this
 * process have been reset. Files of a process that has left another device behind (its lock is still there) stay until
 * that one is taken and reset too.
 */
export function removeStaleHugepageFiles(
  mounts: readonly HugepageMount[] = findHugepageMounts(),
  lockDirectory = runtimeDirectoryOrNull(),
): string[] {
  const removed: string[] = []
  // Without locks nobody knows which card may still write to them.
  if (lockDirectory === null) return removed
  const unfinished = abandonedBy(lockDirectory)
  for (const mount of mounts) {
    for (const name of listNames(mount.path)) {
      const match = /^ixy-ts-(\d+)-\d+$/.exec(name)
      if (match === null || unfinished.has(Number(match[1]))) continue
      const path = join(mount.path, name)
      if (removeIfAbandoned(path)) removed.push(path)
    }
  }
  return removed
}

function removeIfAbandoned(path: string): boolean {
  let fd: number
  try {
    // Somebody else's file is not ours to judge.
    if (statSync(path).uid !== process.getuid?.()) return false
    fd = open(path, O_RDWR)
  } catch {
    return false
  }
  try {
    if (!tryLock(fd)) return false
    unlinkSync(path)
    return true
  } finally {
    close(fd)
  }
}
