/** Huge pages that the system has: where they are mounted, how many are free, and what is wrong if they are too few. */
import { accessSync, constants, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setUpHugepages } from '../bundles.ts'
import { IxyError } from '../errors.ts'
import type { LinuxError } from './libc.ts'
import { PAGE_BYTES } from './mapping.ts'
import { listNames, readNumber } from './sysfs.ts'

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

/** The sizes of huge pages of which enough are free for `bytes`, and what these are in whole pages. */
export function sharedSizes(bytes: number, sysfsRoot?: string): { pageBytes: number; rounded: number }[] {
  return hugepageCounts(sysfsRoot)
    .map(({ pageBytes, free }) => ({ pageBytes, free, rounded: Math.ceil(bytes / pageBytes) * pageBytes }))
    .filter(({ pageBytes, free, rounded }) => rounded <= free * pageBytes)
}

/** What allocateShared(bytes) takes, in whole pages of whatever size. */
export function sharedBytes(bytes: number, sysfsRoot?: string): number {
  return sharedSizes(bytes, sysfsRoot)[0]?.rounded ?? Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}

/**
 * Throws as allocateHugepages(bytes) would, and takes none: IXY_ERR_NO_HUGEPAGES, IXY_ERR_PERMISSION. `mounts` and `sysfsRoot` are the
 * system's, or a test's.
 */
export function requireHugepages(
  bytes: number,
  mounts: readonly HugepageMount[] = findHugepageMounts(),
  sysfsRoot?: string,
): void {
  let failure: IxyError | undefined
  for (const mount of mounts) {
    const pages = Math.ceil(bytes / mount.pageBytes)
    if (!isWritable(mount.path)) failure ??= notWritable(mount.path)
    else if (freePages(mount, sysfsRoot) < pages) failure ??= notEnough(mount, pages, sysfsRoot)
    else return
  }
  throw failure ?? noMount(undefined, sysfsRoot)
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Nothing is mounted, or nothing of that size. */
export function noMount(pageBytes?: number, sysfsRoot?: string): IxyError {
  const counts = hugepageCounts(sysfsRoot).filter(
    (size) => pageBytes === undefined || size.pageBytes === pageBytes,
  )
  const reserved = counts.filter((size) => size.total > 0)
  const what =
    reserved.length === 0
      ? 'no huge pages are reserved'
      : `${reserved.map((size) => `${size.total} huge pages of ${size.pageBytes / 1024} KiB`).join(' and ')} ` +
        'are reserved, but no hugetlbfs is mounted'
  const command = setUpHugepages()
  return new IxyError('IXY_ERR_NO_HUGEPAGES', what, `run: ${command}`, { commands: [command] })
}

function freePages({ pageBytes }: HugepageMount, sysfsRoot?: string): number {
  return hugepageCounts(sysfsRoot).find((size) => size.pageBytes === pageBytes)?.free ?? 0
}

/** `pages` of the mount's size are asked for. */
export function notEnough(
  mount: HugepageMount,
  pages: number,
  sysfsRoot?: string,
  cause?: unknown,
): IxyError {
  const free = freePages(mount, sysfsRoot)
  // Others keep what they have.
  const total = hugepageCounts(sysfsRoot).find((size) => size.pageBytes === mount.pageBytes)?.total ?? 0
  const command = `${setUpHugepages()} ${total - free + pages}`
  return new IxyError(
    'IXY_ERR_NO_HUGEPAGES',
    `${pages} huge pages of ${mount.pageBytes / 1024} KiB are needed, ${free} are free`,
    `end other users of huge pages, or reserve more: ${command}`,
    { cause, commands: [command] },
  )
}

/** The mount is somebody else's. */
export function notWritable(directory: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `the hugetlbfs at ${directory} is not writable for this user`,
    'run as root or give the user the directory',
    { cause, commands: [`sudo chown $USER ${directory}`] },
  )
}

/** `cause` is what the system said; ENOMEM if nobody has asked it yet. */
export function notLocked(bytes: number, cause?: LinuxError): IxyError {
  return new IxyError(
    'IXY_ERR_MEMLOCK',
    `${bytes / 1024} KiB of memory can't be locked: ${cause?.errno ?? 'ENOMEM'}`,
    'raise the limit (ulimit -l unlimited) or run as root',
    { cause, commands: RAISE_MEMLOCK },
  )
}

/** For the shell itself: what it starts inherits that. */
export const RAISE_MEMLOCK: readonly string[] = ['sudo prlimit --pid $$ --memlock=unlimited']
