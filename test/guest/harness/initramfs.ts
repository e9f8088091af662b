/** The guest's root file system: busybox, this machine's Node, a few network tools, kernel modules, and ixy-ts. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { CpioArchive } from './cpio.ts'
import { type DebianTree, librariesOf, programPath } from './debian.ts'
import type { KernelModules } from './modules.ts'

const PROGRAMS = ['dash', 'ip', 'ethtool', 'iperf3', 'ping', 'tcpdump', 'ptp4l', 'phc_ctl']

/** What the first process needs to hear the harness. */
const AGENT_MODULES = ['virtio_pci', 'virtio_console']

const MODULES = [
  ...AGENT_MODULES,
  ...['ixgbe', 'e1000e', 'igb', 'virtio_net', 'vfio-pci', 'vfio_iommu_type1', 'uio_pci_generic'],
  ...[
    'tun',
    'veth',
    '8021q',
    'af_packet',
    'vxlan',
    'geneve',
    'fou',
    'ip_gre',
    'ipip',
    'sit',
    'crc32c_generic',
    'sctp',
    'pktgen',
  ],
]

/** What ixy-ts needs at run time: the launcher, the bundle and koffi without its sources and other platforms. */
const PRODUCT = [
  ...['bin', 'dist', 'package.json', 'setup-hugetlbfs.sh'],
  ...['package.json', 'index.cjs', 'indirect.cjs', 'src/koffi'].map((name) => `node_modules/koffi/${name}`),
  ...['package.json', 'index.js', 'linux_x64'].map((name) => `node_modules/@koromix/koffi-linux-x64/${name}`),
]

const SOURCES = /\.(map|cc|hh|S|asm|inc|def|txt)$/

/** Where ixy-ts lies in the guest. */
export const PRODUCT_FOLDER = '/opt/ixy-ts'

/** What an archive is made from. */
export interface Sources {
  readonly tree: DebianTree
  readonly modules: KernelModules
  /** The checkout whose bundle goes in. */
  readonly repository: string
}

/** The root file system of all guests but the small one. */
export function buildInitramfs(path: string, sources: Sources): void {
  const archive = new CpioArchive(path)
  const { tree, repository } = sources
  addSystem(archive, sources, MODULES)
  addPrograms(archive, tree, [...PROGRAMS.map((name) => programPath(tree, name)), process.execPath])
  for (const part of PRODUCT) {
    const source = join(repository, part)
    if (existsSync(source)) addTree(archive, `${PRODUCT_FOLDER}/${part}`, source)
  }
  archive.close()
}

/** A small one, for a guest that gets it over an emulated network: no Node, no ixy-ts, the modules that are named. */
export function buildSmallInitramfs(path: string, sources: Sources, modules: readonly string[]): void {
  const archive = new CpioArchive(path)
  addSystem(archive, sources, [...AGENT_MODULES, ...modules])
  addPrograms(
    archive,
    sources.tree,
    ['dash', 'ip', 'ping'].map((name) => programPath(sources.tree, name)),
  )
  archive.close()
}

/** The archive at `base` and more, in a new file. The kernel unpacks one archive after the other. */
export function extendInitramfs(path: string, base: string, add: (archive: CpioArchive) => void): void {
  copyFileSync(base, path)
  const archive = new CpioArchive(path, 'a')
  add(archive)
  archive.close()
}

/** Adds programs with the libraries that they need. */
export function addPrograms(archive: CpioArchive, tree: DebianTree, files: readonly string[]): void {
  const libraries = new Map<string, string>()
  for (const file of files) {
    archive.copy(`/usr/bin/${basename(file)}`, file)
    for (const [name, library] of librariesOf(tree, file)) libraries.set(name, library)
  }
  for (const [name, file] of libraries) archive.copy(libraryPath(name), file)
}

/** Where the guest's loader finds a library. */
function libraryPath(name: string): string {
  return name.startsWith('ld-linux') ? `/lib64/${name}` : `/lib/x86_64-linux-gnu/${name}`
}

function addTree(archive: CpioArchive, target: string, source: string): void {
  if (!statSync(source).isDirectory()) return archive.copy(target, source)
  for (const name of readdirSync(source)) {
    if (!SOURCES.test(name)) addTree(archive, `${target}/${name}`, join(source, name))
  }
}

/** The first process, busybox, and kernel modules. */
function addSystem(
  archive: CpioArchive,
  { tree, modules, repository }: Sources,
  names: readonly string[],
): void {
  const harness = join(repository, 'test/guest/harness')
  for (const folder of ['/proc', '/sys', '/dev', '/tmp', '/run', '/root']) archive.directory(folder)
  archive.file('/init', readFileSync(join(harness, 'init.sh')), 0o755)
  archive.file('/etc/mounts', readFileSync(join(harness, 'mounts.sh')))
  archive.file('/usr/bin/load', readFileSync(join(harness, 'load.sh')), 0o755)
  archive.file('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n')
  archive.file('/etc/group', 'root:x:0:\nuser:x:1000:\n')

  const busybox = programPath(tree, 'busybox')
  archive.copy('/bin/busybox', busybox)
  for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (applet !== 'busybox' && applet !== 'sh') archive.symlink(`/bin/${applet}`, 'busybox')
  }
  // busybox's own shell would take its built-in ip and ping before those of /usr/bin.
  archive.symlink('/bin/sh', '/usr/bin/dash')

  const orders = new Map(names.map((name) => [name, modules.loadOrder(name)]))
  for (const [name, order] of orders) archive.file(`/lib/modules/${name}.order`, `${order.join('\n')}\n`)
  for (const name of new Set([...orders.values()].flat()))
    archive.copy(`/lib/modules/${name}.ko`, modules.file(name))
}
