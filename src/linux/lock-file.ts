/**
 * Locks with a name, held by at most one process at a time.
 *
 * The kernel's lock on the file (flock) decides; it ends with its process. The file holds the owner's pid, and behind a
 * space what the owner wants the next one to know; it is removed when the owner lets go properly. So a file that nobody
 * has locked tells of a process that was killed: what it left behind may still be in use by hardware (see hugepages.ts).
 */
import { readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { sleepMilliseconds } from './clock.ts'
import { close, ftruncate, isFileAt, O_CREAT, O_RDONLY, O_RDWR, open, pwrite, tryLock } from './file.ts'
import { readText } from './sysfs.ts'

const SUFFIX = '.lock'
/** Milliseconds a lock may be held by someone who only looks whether it is held. */
const GLANCE = 100

export interface LockFile {
  /** What the last owner noted; '' if it let go properly or noted nothing. Stays in the file until note(). */
  readonly inherited: string
  /** Leaves a line for the next owner, should this one be killed. */
  note(text: string): void
  /** Lets go and removes the file. Idempotent, never throws. */
  release(): void
  /** Lets go and leaves the file as it was found: what a killed owner left behind is still there. Else as release. */
  putBack(): void
}

/** Takes the lock `name` in `directory`. If another process has it, returns that process's pid (0 if unknown). */
export function takeLock(directory: string, name: string): LockFile | number {
  const path = join(directory, name + SUFFIX)
  const deadline = performance.now() + GLANCE
  while (true) {
    const fd = open(path, O_RDWR | O_CREAT)
    if (!tryLock(fd)) {
      close(fd)
      if (performance.now() > deadline) return readOwner(path)
      sleepMilliseconds(10)
      continue
    }
    // Between open and lock the former owner may have removed the file: then another lock may exist under its name.
    if (!isFileAt(fd, path)) {
      close(fd)
      continue
    }
    return lockFile(fd, path, readText(path) ?? '')
  }
}

function lockFile(fd: number, path: string, found: string): LockFile {
  let held = true
  const end = (last: () => void): void => {
    if (!held) return
    held = false
    try {
      last()
    } catch {
      // Somebody has cleared the directory; the lock ends with the descriptor.
    }
    close(fd)
  }
  const write = (pid: number, text: string): void => {
    ftruncate(fd, 0)
    pwrite(fd, Buffer.from(`${pid} ${text}`.trim() + '\n'), 0)
  }
  const release = (): void => end(() => unlinkSync(path))
  const previous = ownerIn(found)
  const inherited = /^\d+ (.*)/.exec(found)?.[1] ?? ''
  write(process.pid, inherited)
  return {
    inherited,
    note: (text) => write(process.pid, text),
    release,
    putBack: previous === 0 ? release : () => end(() => write(previous, inherited)),
  }
}

/** Pid of the process that holds the lock `name` (0 if unknown); null if nobody does. Changes nothing. */
export function lockOwner(directory: string, name: string): number | null {
  const path = join(directory, name + SUFFIX)
  return isFree(path) ? null : readOwner(path)
}

/** Pids in the files of `directory` that nobody has locked: processes that ended without letting go. */
export function abandonedBy(directory: string): Set<number> {
  const pids = new Set<number>()
  for (const name of readdirSync(directory)) {
    if (!name.endsWith(SUFFIX)) continue
    const path = join(directory, name)
    if (isFree(path)) pids.add(readOwner(path))
  }
  return pids
}

function isFree(path: string): boolean {
  let fd: number
  try {
    fd = open(path, O_RDONLY)
  } catch {
    // Removed: its owner has just let go.
    return true
  }
  try {
    return tryLock(fd)
  } finally {
    close(fd)
  }
}

function readOwner(path: string): number {
  return ownerIn(readText(path) ?? '')
}

function ownerIn(contents: string): number {
  return Number.parseInt(contents, 10) || 0
}
