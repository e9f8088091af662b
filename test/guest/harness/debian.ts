/**
 * A private Debian tree: QEMU, a kernel and the guest's tools, unpacked beside each other and never installed.
 *
 * apt does the fetching, with its state, lists and cache in our own folder, so that nothing on this machine changes. The
 * archive's address comes from the machine's own apt sources. Fetched once; the folder's name carries what was asked for.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Debian 13: a 6.12 kernel, which boots faster than 6.1, and backports with a QEMU that has vfio-user-pci. */
const SUITE = 'trixie'
const TOOLS = [
  ...['busybox-static', 'dash', 'iproute2', 'ethtool', 'iperf3', 'iputils-ping', 'tcpdump'],
  // coreutils: its libstdbuf.so makes what testpmd prints appear when it is printed.
  ...['ipxe', 'dnsmasq-base', 'coreutils', 'linuxptp'],
]
const QEMU = ['qemu-system-x86']
/** testpmd's package. Of what it depends on, a program that is only unpacked needs the libraries. */
const DPDK = 'dpdk-dev'
const NOT_LIBRARIES = /^(libdpdk-dev|python3|.*-support)$/
/** Plugins that nothing depends on; digits of their version follow. */
const DPDK_PLUGINS = ['librte-mempool-ring', 'librte-net-vhost']
/** Raise when SUITE or the packages change: a new folder is filled. */
const TREE_VERSION = 5

const LIBRARIES = 'usr/lib/x86_64-linux-gnu'
/** What comes with the packages and nobody needs. */
const JUNK = [
  'apt',
  ...['share/doc', 'share/locale', 'share/man', 'bin/dpdk-test'].map((path) => `root/usr/${path}`),
]

export interface DebianTree {
  readonly root: string
  /** `6.12.x+deb13-amd64` */
  readonly kernelRelease: string
  readonly kernelImage: string
  readonly modules: string
}

/** The archive and keyring the machine itself uses, from /etc/apt. */
function archiveOfThisMachine(): { url: string; suite: string; keyring: string | undefined } {
  const codename =
    /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]?.trim() ?? 'bookworm'
  const override = process.env['IXY_GUEST_MIRROR']
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const fallbackKeyring = existsSync(keyring) ? keyring : undefined
  if (override !== undefined) return { url: override, suite: codename, keyring: fallbackKeyring }

  const parts = '/etc/apt/sources.list.d'
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : []
  for (const file of ['/etc/apt/sources.list', ...files]) {
    if (!existsSync(file)) continue
    const text = readFileSync(file, 'utf8')
    for (const line of text.split('\n')) {
      const entry = /^deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line)
      if (entry?.[3] !== codename || !entry[4]?.split(/\s+/).includes('main')) continue
      return {
        url: entry[2] ?? '',
        suite: codename,
        keyring: /signed-by=([^\s\]]+)/.exec(entry[1] ?? '')?.[1] ?? fallbackKeyring,
      }
    }
    for (const stanza of text.replace(/^#.*\n/gm, '').split(/\n\s*\n/)) {
      const field = (name: string): string[] =>
        (new RegExp(`^${name}:(.*)$`, 'im').exec(stanza)?.[1] ?? '').trim().split(/\s+/)
      if (!field('Types').includes('deb') || !field('Suites').includes(codename)) continue
      const url = field('URIs')[0]
      if (url !== undefined && url !== '')
        return { url, suite: codename, keyring: field('Signed-By')[0] || fallbackKeyring }
    }
  }
  throw new Error(
    `no apt source for ${codename} main in /etc/apt: set IXY_GUEST_MIRROR to the address of a Debian archive`,
  )
}

/** apt with all of its state under `dir`. The host's proxy and transport settings still apply. */
class PrivateApt {
  readonly #dir: string
  readonly #options: string[]

  constructor(dir: string) {
    this.#dir = dir
    for (const sub of ['lists/partial', 'archives/partial']) mkdirSync(join(dir, sub), { recursive: true })
    writeFileSync(join(dir, 'status'), '')
    this.#options = [
      `Dir::Etc::sourcelist=${dir}/sources.list`,
      'Dir::Etc::sourceparts=-',
      `Dir::State=${dir}`,
      `Dir::State::status=${dir}/status`,
      `Dir::Cache=${dir}`,
      'APT::Sandbox::User=root',
      'Acquire::Languages=none',
      'Acquire::Retries=3',
      'Acquire::http::Timeout=60',
    ].flatMap((option) => ['-o', option])
  }

  get archives(): string {
    return join(this.#dir, 'archives')
  }

  sources(url: string, suites: readonly string[], keyring: string | undefined): void {
    const options = keyring === undefined ? '' : `[signed-by=${keyring}] `
    writeFileSync(
      join(this.#dir, 'sources.list'),
      suites.map((suite) => `deb ${options}${url} ${suite} main\n`).join(''),
    )
    this.run('apt-get', ['-qq', 'update'])
  }

  /** The packages that a package depends on by name. */
  dependencies(name: string): string[] {
    const listing = this.run('apt-cache', ['depends', name])
    return [...listing.matchAll(/^ {2}Depends: ([^\s<]+)$/gm)].map(([, dependency = '']) => dependency)
  }

  /** The packages whose names begin with `prefix`. */
  names(prefix: string): string[] {
    return this.run('apt-cache', ['pkgnames', prefix]).trim().split('\n')
  }

  run(program: string, args: readonly string[]): string {
    return execFileSync(program, [...this.#options, ...args], {
      cwd: this.archives,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 300_000,
    })
  }
}

function unpack(archives: string, root: string): string[] {
  mkdirSync(root, { recursive: true })
  const packages = readdirSync(archives).filter((name) => name.endsWith('.deb'))
  for (const name of packages) execFileSync('dpkg-deb', ['--extract', join(archives, name), root])
  return packages
}

function fetchTree(dir: string, log: (line: string) => void): void {
  const archive = archiveOfThisMachine()
  rmSync(dir, { recursive: true, force: true })
  const apt = new PrivateApt(join(dir, 'apt'))

  // The newest keyring of the machine's own release also knows the next release's keys; an old machine may lack them.
  log(`fetching Debian ${SUITE}'s QEMU, kernel, iPXE, DPDK and tools (once, about 180 MB)`)
  apt.sources(archive.url, [archive.suite], archive.keyring)
  apt.run('apt-get', ['-qq', 'download', 'debian-archive-keyring'])
  const root = join(dir, 'root')
  unpack(apt.archives, root)

  apt.sources(
    archive.url,
    [SUITE, `${SUITE}-backports`],
    `${root}/usr/share/keyrings/debian-archive-keyring.gpg`,
  )
  const install = [
    '-qq',
    '-y',
    '--download-only',
    '--no-install-recommends',
    '-t',
    `${SUITE}-backports`,
    'install',
  ]
  const libraries = apt.dependencies(DPDK).filter((name) => !NOT_LIBRARIES.test(name))
  const plugins = DPDK_PLUGINS.flatMap((name) => apt.names(name))
  apt.run('apt-get', [...install, ...QEMU, ...TOOLS, ...libraries, ...plugins])
  const kernel = apt.dependencies('linux-image-amd64').find((name) => name.startsWith('linux-image-'))
  if (kernel === undefined) throw new Error(`linux-image-amd64 of ${SUITE} names no kernel`)
  apt.run('apt-get', ['-qq', 'download', kernel, DPDK])

  log('unpacking')
  const packages = unpack(apt.archives, root)
  for (const junk of JUNK) {
    rmSync(join(dir, junk), { recursive: true, force: true })
  }
  writeFileSync(join(dir, 'packages.json'), JSON.stringify(packages.sort(), null, 2))
}

const directoryIn = (cache: string): string => join(cache, `debian-${SUITE}-${TREE_VERSION}`)

/** The tree in `cache`, fetched if it isn't there yet. */
export function debianTree(cache: string, log: (line: string) => void): DebianTree {
  if (process.arch !== 'x64') throw new Error(`the guest is x86-64, this machine is ${process.arch}`)
  const dir = directoryIn(cache)
  if (!existsSync(dir)) {
    const partial = `${dir}.partial`
    fetchTree(partial, log)
    renameSync(partial, dir)
  }
  const root = join(dir, 'root')
  const kernelRelease = readdirSync(join(root, 'usr/lib/modules'))[0]
  if (kernelRelease === undefined) throw new Error(`${root} holds no kernel: delete ${dir} and run again`)
  return {
    root,
    kernelRelease,
    kernelImage: join(root, 'boot', `vmlinuz-${kernelRelease}`),
    modules: join(root, 'usr/lib/modules', kernelRelease),
  }
}

/** The tree in `cache`, null if it hasn't been fetched. */
export function fetchedTree(cache: string): DebianTree | null {
  return existsSync(directoryIn(cache)) ? debianTree(cache, () => undefined) : null
}

/** QEMU of the tree: its command line up to the first argument of its own, and where its modules are (QEMU_MODULE_DIR). */
export function qemuOf(tree: DebianTree): { command: string[]; modules: string } {
  const data = ['qemu', 'seabios'].flatMap((name) => ['-L', join(tree.root, 'usr/share', name)])
  return {
    command: privately(tree, programPath(tree, 'qemu-system-x86_64'), data),
    modules: join(tree.root, LIBRARIES, 'qemu'),
  }
}

/** Where a program lies in the tree. */
export function programPath(tree: DebianTree, name: string): string {
  for (const dir of ['usr/bin', 'usr/sbin']) {
    const path = join(tree.root, dir, name)
    if (existsSync(path)) return path
  }
  throw new Error(`${name} is not in ${tree.root}`)
}

/** Where the tree's shared libraries are. */
export function libraryPath(tree: DebianTree): string {
  return join(tree.root, LIBRARIES)
}

/** The command line that runs a program with the tree's own loader and libraries, whatever this machine has. */
export function privately(tree: DebianTree, program: string, args: readonly string[] = []): string[] {
  const loader = join(tree.root, 'usr/lib64/ld-linux-x86-64.so.2')
  return [loader, '--library-path', libraryPath(tree), program, ...args]
}

/** The libraries a program needs, by the name it asks for and the file that the tree's loader finds. */
export function librariesOf(tree: DebianTree, program: string): Map<string, string> {
  const [loader = '', ...options] = privately(tree, program)
  const libraries = new Map<string, string>()
  const listing = execFileSync(loader, ['--list', ...options], { encoding: 'utf8' })
  for (const match of listing.matchAll(/^\s*(\S+) => (\S+)/gm)) {
    const [, name = '', file = ''] = match
    libraries.set(name.slice(name.lastIndexOf('/') + 1), file)
  }
  return libraries
}
