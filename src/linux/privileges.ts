/** Becoming another user for good, and replacing the program of this process. */
import { readFileSync, readdirSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { SYS_CLOSE_RANGE, tryKeepOverExec } from './file.ts'
import { check, declare } from './libc.ts'
import { viewOf } from './mapping.ts'

const libcGetpwnam = declare<(name: string) => bigint>('void *getpwnam(const char *name)')
const libcGetpwuid = declare<(uid: number) => bigint>('void *getpwuid(unsigned int uid)')
const libcExecve = declare<
  (path: string, argv: readonly (string | null)[], env: readonly (string | null)[]) => number
>('int execve(const char *path, const char **argv, const char **env)')

const libcSyscall = declare<(number: number, first: number, last: number, flags: number) => number>(
  'long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)',
)

// Not Node.js's own: where its libuv came with the system, as in Debian 13, it refuses them for what libuv's io_uring might do
// (CVE-2024-22017), also where that is off. The C library changes all threads of the process; becomeUser() finds what it can't.
const libcSetgroups = declare<(count: number, list: bigint) => number>(
  'int setgroups(size_t count, const void *list)',
)
const libcSetgid = declare<(gid: number) => number>('int setgid(unsigned int gid)')
const libcSetuid = declare<(uid: number) => number>('int setuid(unsigned int uid)')
const libcSetegid = declare<(gid: number) => number>('int setegid(unsigned int gid)')
const libcSeteuid = declare<(uid: number) => number>('int seteuid(unsigned int uid)')

/** Offsets of pw_uid and pw_gid in struct passwd: behind two pointers. */
const PW_UID = 16
const PW_GID = 20

export interface User {
  /** As it was given. */
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/**
 * `name`, `uid` or `uid:gid`; without a gid the user's own group counts. Throws IXY_ERR_USAGE: there is no such user, or it is
 * root.
 */
export function findUser(text: string): User {
  const [, digits, group] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text) ?? []
  let user: User
  if (digits === undefined) {
    const entry = entryAt(libcGetpwnam(text))
    if (entry === null)
      throw noUser(text, 'this system knows no user of that name', 'name one, or give uid:gid')
    user = { name: text, ...entry }
  } else {
    const gid = group === undefined ? entryAt(libcGetpwuid(Number(digits)))?.gid : Number(group)
    if (gid === undefined) throw noUser(text, 'this system knows no user of that number', 'give uid:gid')
    user = { name: text, uid: Number(digits), gid }
  }
  // 2^32 - 1 means "unchanged" to the kernel.
  if (user.uid >= 0xffff_ffff || user.gid >= 0xffff_ffff)
    throw noUser(text, 'no id is that large', 'give uid:gid')
  if (user.uid === 0) throw noUser(text, 'that is root, who loses nothing', 'name another user')
  return user
}

function noUser(text: string, what: string, fix: string): IxyError {
  return new IxyError('IXY_ERR_USAGE', `--user ${text}: ${what}`, fix)
}

function entryAt(address: bigint | null): { uid: number; gid: number } | null {
  if (address === null || address === 0n) return null
  const entry = new DataView(viewOf(address, 24))
  return { uid: entry.getUint32(PW_UID, true), gid: entry.getUint32(PW_GID, true) }
}

export function isUser({ uid, gid }: User): boolean {
  return process.getuid?.() === uid && process.getgid?.() === gid
}

/**
 * Makes the whole process `user`'s: no other groups, no capabilities, no way back. Main thread only. Throws
 * IXY_ERR_PERMISSION if it isn't root's.
 */
export function becomeUser(user: User): void {
  try {
    check(libcSetgroups(0, 0n), 'setgroups')
    check(libcSetgid(user.gid), 'setgid')
    check(libcSetuid(user.uid), 'setuid')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `becoming user ${user.name} is not permitted (${reason})`,
      'start as root, or without --user',
      { cause },
    )
  }
  if (!isUser(user) || process.geteuid?.() !== user.uid || process.getegid?.() !== user.gid)
    throw new IxyError('IXY_ERR_INTERNAL', `user ${user.name} was asked for, and something else came`)
  const keepers = threadsOfOthers(user)
  if (keepers.length > 0)
    throw new IxyError(
      'IXY_ERR_SYSTEM',
      `not all threads became user ${user.name}: ${keepers.join(', ')}`,
      'switch off io_uring in Node.js: UV_USE_IO_URING=0',
    )
}

/** The names of threads that belong to somebody else: those of io_uring keep the user that they were made for. */
function threadsOfOthers({ uid, gid }: User): string[] {
  return readdirSync('/proc/self/task').flatMap((thread) => {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8')
    const ids = (key: string): string => new RegExp(`^${key}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? ''
    const all = (key: string, id: number): boolean =>
      ids(key)
        .split('\t')
        .every((text) => Number(text) === id)
    return all('Uid', uid) && all('Gid', gid) ? [] : [ids('Name')]
  })
}

/** Runs `work` with the rights of `user` in the file system, if this process is root's. */
export function asUser<T>(user: User, work: () => T): T {
  if (process.geteuid?.() !== 0) return work()
  const group = process.getegid?.() ?? 0
  check(libcSetegid(user.gid), 'setegid')
  check(libcSeteuid(user.uid), 'seteuid')
  try {
    return work()
  } finally {
    check(libcSeteuid(0), 'seteuid')
    check(libcSetegid(group), 'setegid')
  }
}

const CLOSE_RANGE_CLOEXEC = 4
const MAX_FD = 0x7fff_ffff

/**
 * Runs `argv` in place of this program: the process stays the same. Of its open files the new one gets the standard streams
 * and `keep`. Throws LinuxError.
 */
export function replaceProgram(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  keep: readonly number[],
): never {
  const [program] = argv
  const env = Object.entries(environment).map(([name, value]) => `${name}=${value ?? ''}`)
  // Linux before 5.11 can't; there Node.js has marked the lower ones already.
  libcSyscall(SYS_CLOSE_RANGE, 3, MAX_FD, CLOSE_RANGE_CLOEXEC)
  for (const fd of [0, 1, 2, ...keep]) tryKeepOverExec(fd)
  check(libcExecve(program, [...argv, null], [...env, null]), 'execve', program)
  throw new IxyError('IXY_ERR_INTERNAL', 'execve returned')
}
