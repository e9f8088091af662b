/**
 * Memory for devices.
 *
 * Devices that see physical addresses get files in hugetlbfs: the pages are large (few addresses to look up), never
 * swapped and never moved, and a file outlives its process. The last matters when the process is killed: the card goes
 * on writing received packets until its next reset, and must not hit memory that has meanwhile become somebody else's.
 * Everyone else gets an anonymous file (memfd), gone with the process.
 */
import { fstatSync, readFileSync, statfsSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { close, createSealedMemfd, ftruncate, O_CREAT, O_EXCL, O_RDWR, open, tryLock } from './file.ts'
import { isErrno, LinuxError } from './libc.ts'
import { abandonedBy } from './lock-file.ts'
import { MAP_POPULATE, MAP_SHARED, mlock, mmap, munmap, PAGE_BYTES } from './mapping.ts'
import { runtimeDirectoryOrNull } from './runtime-dir.ts'
import { listNames, readNumber } from './sysfs.ts'

const SET_UP = 'run: sudo ./setup-hugetlbfs.sh'

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

export interface HugepageMount {
  readonly path: string
  readonly pageBytes: number
}

/** hugetlbfs mounts, smallest pages first. `mounts` is a file like /proc/mounts. */
export function findHugepageMounts(mounts = '/proc/mounts'): HugepageMount[] {
  const found: HugepageMount[] = []
  for (const line of readFileSync(mounts, 'utf8').split('\n')) {
    const [, path, type, options] = line.split(' ')
    if (type !== 'hugetlbfs') continue
    const pageBytes = parsePageSize(/(?:^|,)pagesize=(\d+)([KMG]?)/.exec(options))
    if (pageBytes !== null) found.push({ path: unescapeMount(path), pageBytes })
  }
  return found.sort((a, b) => a.pageBytes - b.pageBytes)
}

/** `pagesize=2M`, `pagesize=1024M`. The kernel always shows the option. */
function parsePageSize(match: RegExpExecArray | null): number | null {
  if (match === null) return null
  return Number(match[1]) * 1024 ** ['', 'K', 'M', 'G'].indexOf(match[2])
}

/** Spaces and the like are written in octal: `/mnt/huge\040pages`. */
function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** Huge pages of every size the kernel has: in all, and free. */
export function hugepageCounts(sysfsRoot = '/sys'): { pageBytes: number; total: number; free: number }[] {
  const directory = join(sysfsRoot, 'kernel/mm/hugepages')
  return listNames(directory).flatMap((name) => {
    const match = /^hugepages-(\d+)kB$/.exec(name)
    if (match === null) return []
    return {
      pageBytes: Number(match[1]) * 1024,
      total: readNumber(join(directory, name, 'nr_hugepages')) ?? 0,
      free: readNumber(join(directory, name, 'free_hugepages')) ?? 0,
    }
  })
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

function noMount(pageBytes?: number): IxyError {
  const counts = hugepageCounts().filter((size) => pageBytes === undefined || size.pageBytes === pageBytes)
  const reserved = counts.filter((size) => size.total > 0)
  const what =
    reserved.length === 0
      ? 'no huge pages are reserved'
      : `${reserved.map((size) => `${size.total} huge pages of ${size.pageBytes / 1024} KiB`).join(' and ')} ` +
        'are reserved, but no hugetlbfs is mounted'
  return new IxyError('IXY_ERR_NO_HUGEPAGES', what, SET_UP)
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
    const free = hugepageCounts().find((size) => size.pageBytes === mount.pageBytes)?.free ?? 0
    throw new IxyError(
      'IXY_ERR_NO_HUGEPAGES',
      `${bytes / mount.pageBytes} huge pages of ${mount.pageBytes / 1024} KiB are needed, ${free} are free`,
      `end other users of huge pages, or reserve more: sudo ./setup-hugetlbfs.sh ${bytes / mount.pageBytes}`,
      { cause: error },
    )
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
      if (isErrno(error, 'EACCES', 'EPERM', 'EROFS'))
        throw new IxyError(
          'IXY_ERR_PERMISSION',
          `the hugetlbfs at ${directory} is not writable for this user`,
          'run as root or give the user the directory',
          { cause: error },
        )
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
    throw new IxyError(
      'IXY_ERR_MEMLOCK',
      `${block.bytes / 1024} KiB of memory can't be locked: ${error.errno}`,
      'raise the limit (ulimit -l unlimited) or run as root',
      { cause: error },
    )
  }
}

/**
 * At least `bytes` of memory in an anonymous file: in huge pages if there are enough free ones, else in ordinary ones.
 * Other processes map it by its descriptor, and can't make it smaller. Give it back with releaseBlock. Throws LinuxError when memory is short.
 */
export function allocateShared(bytes: number): HugepageBlock {
  for (const { pageBytes, free } of hugepageCounts()) {
    const rounded = Math.ceil(bytes / pageBytes) * pageBytes
    if (rounded > free * pageBytes) continue
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
