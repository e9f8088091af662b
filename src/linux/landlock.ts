/**
 * Landlock: what the calling thread, and all it starts, may do in the file system and beyond (landlock(7)). Only what is
 * named stays allowed, for files opened from then on. It can't be taken away any more.
 */
import { fstatSync, openSync } from 'node:fs'
import { close } from './file.ts'
import { check, declare, lastErrno, type Pointer } from './libc.ts'

/** LANDLOCK_ACCESS_FS_… */
export const Access = {
  EXECUTE: 1 << 0,
  WRITE_FILE: 1 << 1,
  READ_FILE: 1 << 2,
  READ_DIR: 1 << 3,
  REMOVE_FILE: 1 << 5,
  MAKE_REG: 1 << 8,
  MAKE_SOCK: 1 << 9,
  TRUNCATE: 1 << 14,
  IOCTL_DEV: 1 << 15,
} as const

/** Rights by the ABI version they came with, and all that a file, as opposed to a folder, can be given. */
const ALL_OF_ABI = [0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff]
const OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
/** LANDLOCK_ACCESS_NET_BIND_TCP, CONNECT_TCP: since ABI 4. */
const TCP = 0b11n
/** LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, SIGNAL: since ABI 6. */
const SCOPES = 0b11n

const SYS_CREATE_RULESET = 444
const SYS_ADD_RULE = 445
const SYS_RESTRICT_SELF = 446
const CREATE_RULESET_VERSION = 1
const RULE_PATH_BENEATH = 1
const O_PATH = 0o10000000

const createRuleset = declare<(number: number, attributes: Pointer, bytes: number, flags: number) => number>(
  'long syscall(long number, const void *attributes, size_t bytes, unsigned int flags)',
)
const addRule = declare<
  (number: number, ruleset: number, type: number, attributes: Pointer, flags: number) => number
>('long syscall(long number, int ruleset, int type, const void *attributes, unsigned int flags)')
const restrictSelf = declare<(number: number, ruleset: number, flags: number) => number>(
  'long syscall(long number, int ruleset, unsigned int flags)',
)

/** What is allowed below a folder, or with a file. What doesn't exist is left out. */
export interface Rule {
  readonly path: string | Buffer
  /** Access.…, added up. */
  readonly access: number
}

/** The version of the kernel's Landlock, or why there is none. */
export function landlockVersion(): number | string {
  const version = createRuleset(SYS_CREATE_RULESET, 0n, 0, CREATE_RULESET_VERSION)
  if (version > 0) return version
  const errno = lastErrno()
  if (errno === 'ENOSYS') return 'this kernel has none'
  if (errno === 'EOPNOTSUPP' || errno === 'ENOTSUP')
    return 'switched off in this kernel: boot it with lsm=landlock,…'
  return `the kernel says ${errno}`
}

/**
 * Restricts the calling thread to `rules`. Besides, it can't use TCP, nor send signals to processes or connect to abstract
 * sockets outside, as far as the kernel's version knows these. Needs setNoNewPrivileges(). Throws LinuxError.
 */
export function restrictThread(rules: readonly Rule[], version: number): void {
  const handled = ALL_OF_ABI[Math.min(version, ALL_OF_ABI.length - 1)]
  // struct landlock_ruleset_attr { u64 handled_access_fs, handled_access_net, scoped }
  const words = [BigInt(handled), ...(version >= 4 ? [TCP] : []), ...(version >= 6 ? [SCOPES] : [])]
  const attributes = BigUint64Array.from(words)
  const ruleset = check(
    createRuleset(SYS_CREATE_RULESET, attributes, attributes.byteLength, 0),
    'landlock_create_ruleset',
  )
  try {
    for (const rule of rules) allow(ruleset, rule, handled)
    check(restrictSelf(SYS_RESTRICT_SELF, ruleset, 0), 'landlock_restrict_self')
  } finally {
    close(ruleset)
  }
}

function allow(ruleset: number, { path, access }: Rule, handled: number): void {
  let fd: number
  try {
    fd = openSync(path, O_PATH)
  } catch {
    // What isn't there, or can't be reached, needs no permission.
    return
  }
  try {
    const allowed = access & (fstatSync(fd).isDirectory() ? handled : handled & OF_FILES)
    if (allowed === 0) return
    // struct landlock_path_beneath_attr { u64 allowed_access; s32 parent_fd }, packed
    const attributes = new DataView(new ArrayBuffer(12))
    attributes.setBigUint64(0, BigInt(allowed), true)
    attributes.setInt32(8, fd, true)
    check(addRule(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, attributes, 0), 'landlock_add_rule', String(path))
  } finally {
    close(fd)
  }
}
