/** What Landlock leaves to a confined server: which files it may read and write, by what they are there for. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { isatty } from 'node:tty'
import { Access, type Rule } from '../linux/landlock.ts'
import type { WireClaim } from '../vnic/wires/parse.ts'

/** What the command line asks for. */
export interface Needs {
  /** Paths. */
  readonly sockets: readonly string[]
  /** Interfaces and captures. */
  readonly claims: readonly WireClaim[]
}

const { EXECUTE, READ_FILE, READ_DIR, WRITE_FILE, REMOVE_FILE, MAKE_REG, MAKE_SOCK, TRUNCATE, IOCTL_DEV } =
  Access
const READ = READ_FILE | READ_DIR
const DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV

/** Of the system: the loader's cache, OpenSSL's settings, certificates that Node.js loads, time zones, names of users,
 * services and hosts. */
const SYSTEM_FILES = [
  ...[
    '/etc/ld.so.cache',
    '/etc/ld.so.preload',
    '/etc/ld.so.conf',
    '/etc/ssl/openssl.cnf',
    '/etc/pki/tls/openssl.cnf',
  ],
  ...['/etc/ssl/certs', '/usr/lib/ssl', '/usr/local/ssl', '/etc/localtime', '/usr/share/zoneinfo'],
  ...['/etc/passwd', '/etc/group', '/etc/nsswitch.conf', '/dev/urandom'],
  // Names in filters of captures.
  ...['/etc/services', '/etc/protocols', '/etc/networks', '/etc/hosts', '/etc/ethers'],
]
/** What the C library, V8 and this program ask the kernel: memory limits, CPUs, counters of interfaces. */
const KERNEL_FILES = [
  '/proc',
  '/sys/fs/cgroup',
  '/sys/devices/system',
  '/sys/devices/virtual/net',
  '/sys/class/net',
]

export function rulesFor({ sockets, claims }: Needs, runtime: string | null): Rule[] {
  return [
    ...programFiles(),
    ...[...SYSTEM_FILES, ...KERNEL_FILES].map((file) => ({ path: file, access: READ })),
    ...['/dev/null', ...terminals()].map((file) => ({ path: file, access: DEVICE })),
    ...sockets.map((socket) => ({
      path: path.dirname(path.resolve(socket)),
      access: MAKE_SOCK | REMOVE_FILE,
    })),
    ...claims.flatMap(ruleOf),
    ...(runtime === null ? [] : [{ path: runtime, access: READ | MAKE_SOCK | REMOVE_FILE }]),
  ]
}

export function namesOfTaps(claims: readonly WireClaim[]): string[] {
  return claims.filter(({ use }) => use === 'tap').map(({ resource }) => String(resource))
}

/** Files will be opened for writing when clients are served: a capture begins when its NIC is used. */
export function writesFiles({ claims }: Needs): boolean {
  return claims.some(({ use, resource }) => use === 'write' && resource !== '-')
}

/** Files that were opened by whoever started this program, as in record=/dev/fd/3. */
export function namedDescriptors({ claims }: Needs): number[] {
  return claims.flatMap(({ resource }) => {
    const fd = /^\/proc\/self\/fd\/(\d{1,4})$/.exec(String(resource))?.[1]
    return fd === undefined ? [] : [Number(fd)]
  })
}

function ruleOf({ use, resource, several }: WireClaim): Rule[] {
  if (use === 'tap') return [{ path: '/dev/net/tun', access: DEVICE }]
  // The standard streams are open already.
  if (resource === '-') return []
  if (use === 'read') return [{ path: resource, access: READ_FILE }]
  // The file alone, unless it is still to be made.
  if (several === true)
    return [{ path: folderOf(resource), access: WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE }]
  return existsSync(resource)
    ? [{ path: resource, access: WRITE_FILE | TRUNCATE }]
    : [{ path: folderOf(resource), access: WRITE_FILE | TRUNCATE | MAKE_REG }]
}

/** Names of files are bytes: latin1 keeps each. */
function folderOf(file: string | Buffer): Buffer {
  return Buffer.from(path.dirname(Buffer.from(file).toString('latin1')), 'latin1')
}

/** Debian's Node.js has parts of its own library outside of its program, and reads them when it starts. */
const DEBIAN_LIBRARY = '/usr/share/nodejs'

/** Node.js, the libraries it has loaded, this program and koffi: what is to run again. */
function programFiles(): Rule[] {
  const mapped = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => /^\S+ \S+ \S+ \S+ \S+ +(\/.*)$/.exec(line)?.[1])
    .filter((file) => file !== undefined)
  const bundle = __dirname
  const koffi = path.dirname(createRequire(__filename).resolve('koffi'))
  return [
    ...[process.execPath, ...new Set(mapped)].map((file) => ({ path: file, access: READ_FILE | EXECUTE })),
    ...[bundle, path.join(bundle, '..', 'bin'), path.join(bundle, '..', 'package.json')].map(readable),
    ...[koffi, path.join(koffi, '..', '@koromix')].map(readable),
    ...(existsSync(DEBIAN_LIBRARY) ? [readable(DEBIAN_LIBRARY)] : []),
  ]
}

function readable(file: string): Rule {
  return { path: file, access: READ }
}

/** Node.js opens the terminals it is connected to once more. */
function terminals(): string[] {
  return [0, 1, 2].filter((fd) => isatty(fd)).map((fd) => readlinkSync(`/proc/self/fd/${fd}`))
}
