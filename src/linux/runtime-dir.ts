/** The directories for what running programs share: sockets and locks. */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { IxyError, asIxyError } from '../errors.ts'
import { close, isFileAt, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, open, tryLock } from './file.ts'
import { PATH_BYTES } from './socket.ts'

/**
 * $IXY_TS_RUNTIME_DIR if set, else /run/ixy-ts for root, else $XDG_RUNTIME_DIR/ixy-ts, else /tmp/ixy-ts-<uid>; created
 * if need be, for its owner only.
 * Throws IXY_ERR_SYSTEM if it can't be created, IXY_ERR_PERMISSION if it is somebody else's.
 */
export function runtimeDirectory(
  uid: number = process.getuid?.() ?? 0,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  return ownDirectory(runtimePath(uid, environment), uid, WHAT, FIX)
}

const WHAT = 'runtime directory'
const FIX = 'set IXY_TS_RUNTIME_DIR to a directory of yours'

/**
 * `directory`, created if need be, which must be of `uid` and writable to nobody else. `what` it is, and what to do where it can't be
 * had, for the error: IXY_ERR_SYSTEM or IXY_ERR_PERMISSION.
 */
export function ownDirectory(directory: string, uid: number, what: string, fix: string): string {
  try {
    makeDirectories(directory)
  } catch (cause) {
    throw noDirectory(directory, what, fix, cause)
  }
  requireOwn(directory, uid, what, fix)
  return directory
}

/** As runtimeDirectory(), but nothing is created: it throws the same, as far as that can be known without. */
export function requireRuntimeDirectory(
  uid: number = process.getuid?.() ?? 0,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const directory = runtimePath(uid, environment)
  if (existsSync(directory)) requireOwn(directory, uid, WHAT, FIX)
  else {
    let parent = path.dirname(directory)
    while (!existsSync(parent)) parent = path.dirname(parent)
    try {
      accessSync(parent, constants.W_OK | constants.X_OK)
    } catch (cause) {
      throw noDirectory(directory, WHAT, FIX, cause)
    }
  }
  return directory
}

function noDirectory(directory: string, what: string, fix: string, cause: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_SYSTEM',
    `the ${what} ${directory} can't be created: ${cause instanceof Error ? cause.message : String(cause)}`,
    `create it, or ${fix}`,
    { cause },
  )
}

/** In /tmp anyone could have put it there, or a link that leads elsewhere. */
function requireOwn(directory: string, uid: number, what: string, fix: string): void {
  const state = lstatSync(directory)
  if (!state.isDirectory() || state.uid !== uid || (state.mode & 0o022) !== 0)
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `the ${what} ${directory} is not a directory that only user ${uid} can write to`,
      `remove it, or ${fix}`,
    )
}

/** The same for those who can do without; null for every reason not to have one. */
export function runtimeDirectoryOrNull(): string | null {
  try {
    return runtimeDirectory()
  } catch {
    return null
  }
}

function runtimePath(uid: number, environment: NodeJS.ProcessEnv): string {
  const chosen = environment['IXY_TS_RUNTIME_DIR']
  if (chosen !== undefined && chosen.startsWith('/')) return path.resolve(chosen)
  if (uid === 0) return '/run/ixy-ts'
  const base = environment['XDG_RUNTIME_DIR']
  return base !== undefined && base.startsWith('/') ? `${base}/ixy-ts` : `/tmp/ixy-ts-${uid}`
}

/**
 * Each missing folder once. (mkdir of Node.js with `recursive` tries for ever where the system says that the parent
 * is missing although it is there: below /proc, or in a removed directory that is still mounted.)
 */
function makeDirectories(directory: string): void {
  const missing: string[] = []
  for (let folder = directory; !existsSync(folder); folder = path.dirname(folder)) missing.push(folder)
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 })
    } catch (error) {
      // Another ixy-ts that starts may have been faster.
      if (!existsSync(folder)) throw error
    }
  }
}

/** A directory of this process alone, for as long as it lives. */
export interface PrivateDirectory {
  readonly path: string
  /** Removes it with all that is in it. Idempotent, never throws. */
  release(): void
}

const PRIVATE = /^(ixy-ts-)?virtual-\w{6}$/

/**
 * Makes a private directory with room for `files` files: in the runtime directory, or, where that can't be had or is full,
 * in the one for temporary files. Those that killed processes have left there are removed. Throws an IxyError if both fail.
 *
 * The lock on the directory, not its name, tells whether its owner lives: the kernel knows, also across containers.
 */
export function takePrivateDirectory(runtime: string | null, files: number): PrivateDirectory {
  let failure: IxyError | null = null
  for (const parent of [runtime, tmpdir()]) {
    if (parent === null) continue
    try {
      removeAbandoned(parent)
      return makePrivate(path.join(parent, parent === runtime ? 'virtual-' : 'ixy-ts-virtual-'), files)
    } catch (error) {
      failure = asIxyError(error)
    }
  }
  throw failure ?? new IxyError('IXY_ERR_INTERNAL', 'no place for a directory')
}

function makePrivate(prefix: string, files: number): PrivateDirectory {
  if (Buffer.byteLength(`${prefix}XXXXXX/00.sock`) >= PATH_BYTES)
    throw new IxyError('IXY_ERR_SYSTEM', `the path ${prefix} is too long for sockets`, 'choose a shorter one')
  while (true) {
    const directory = mkdtempSync(prefix)
    const fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      remove(directory)
      close(fd)
    }
    // Another one that starts may have looked between the two calls, and taken it for an abandoned one.
    if (tryLock(fd) && isFileAt(fd, directory)) {
      try {
        requireRoom(directory, files)
        return { path: directory, release }
      } catch (error) {
        release()
        throw error
      }
    }
    close(fd)
  }
}

/** Throws if the file system has no room for so many more files. */
function requireRoom(directory: string, files: number): void {
  const names = Array.from({ length: files }, (_, i) => path.join(directory, `${i}.room`))
  for (const name of names) writeFileSync(name, '')
  for (const name of names) rmSync(name)
}

function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!PRIVATE.test(name)) continue
    const directory = path.join(parent, name)
    try {
      if (lstatSync(directory).uid !== process.getuid?.()) continue
      const fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      try {
        if (tryLock(fd)) remove(directory)
      } finally {
        close(fd)
      }
    } catch {
      // Gone meanwhile, or not ours to remove.
    }
  }
}

function remove(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true })
  } catch {
    // Whoever starts next tries again.
  }
}
