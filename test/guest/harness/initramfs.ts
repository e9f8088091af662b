/** The guest's root file system: busybox, this machine's Node, a few network tools, kernel modules, and ixy-ts. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CpioArchive } from './cpio.ts'
import { type DebianTree, librariesOf, programPath } from './debian.ts'
import type { KernelModules } from './modules.ts'

const PROGRAMS = ['dash', 'ip', 'ethtool', 'iperf3', 'ping', 'tcpdump']

const MODULES = [
  ...['ixgbe', 'e1000e', 'igb', 'virtio_net', 'virtio_pci', 'virtio_console'],
  ...['vfio-pci', 'vfio_iommu_type1', 'tun', 'veth', '8021q', 'af_packet'],
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

function addProgram(
  archive: CpioArchive,
  tree: DebianTree,
  libraries: Map<string, string>,
  source: string,
): void {
  archive.copy(`/usr/bin/${source.slice(source.lastIndexOf('/') + 1)}`, source)
  for (const [name, file] of librariesOf(tree, source)) libraries.set(name, file)
}

function addTree(archive: CpioArchive, target: string, source: string): void {
  if (!statSync(source).isDirectory()) return archive.copy(target, source)
  for (const name of readdirSync(source)) {
    if (!SOURCES.test(name)) addTree(archive, `${target}/${name}`, join(source, name))
  }
}

/** Writes the archive to `path`. `repository` is the checkout whose bundle goes in. */
export function buildInitramfs(
  path: string,
  tree: DebianTree,
  modules: KernelModules,
  repository: string,
): void {
  const archive = new CpioArchive(path)
  const harness = join(repository, 'test/guest/harness')
  for (const folder of ['/proc', '/sys', '/dev', '/tmp', '/run', '/root']) archive.directory(folder)
  archive.file('/init', readFileSync(join(harness, 'init.sh')), 0o755)
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

  const libraries = new Map<string, string>()
  for (const name of PROGRAMS) addProgram(archive, tree, libraries, programPath(tree, name))
  addProgram(archive, tree, libraries, process.execPath)
  for (const [name, file] of libraries) {
    archive.copy(name.startsWith('ld-linux') ? `/lib64/${name}` : `/lib/x86_64-linux-gnu/${name}`, file)
  }

  const orders = new Map(MODULES.map((name) => [name, modules.loadOrder(name)]))
  for (const [name, order] of orders) archive.file(`/lib/modules/${name}.order`, `${order.join('\n')}\n`)
  for (const name of new Set([...orders.values()].flat()))
    archive.copy(`/lib/modules/${name}.ko`, modules.file(name))

  for (const part of PRODUCT) {
    const source = join(repository, part)
    if (existsSync(source)) addTree(archive, `${PRODUCT_FOLDER}/${part}`, source)
  }
  archive.close()
}
