/** `make vm`: a shell in a virtual machine with network cards to try ixy-ts on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chooseAccelerator } from './harness/accelerator.ts'
import type { CpioArchive } from './harness/cpio.ts'
import { debianTree } from './harness/debian.ts'
import { PRODUCT_FOLDER, buildInitramfs, extendInitramfs } from './harness/initramfs.ts'
import { KernelModules } from './harness/modules.ts'
import { start, until } from './harness/processes.ts'
import { type Accelerator, qemuMachine } from './harness/qemu.ts'
import { vnicDevice } from './harness/virtual-nic.ts'

const INIT = '/usr/bin/vm-init'
const MEGABYTES = 1536

/** What is plugged into the 82599: WIRE, as for `ixy-ts vnic --wire`. */
const wire = process.env['WIRE'] ?? 'loop'

const MOTD = `
ixy-ts in a virtual machine. Its cards:

  0000:00:02.0  virtio-net  the host "left", 10.0.0.1, is on its wire
  0000:01:00.0  virtio-net  the host "right", 10.0.0.2
  0000:02:00.0  82599       the virtual one of ixy-ts, by vfio-user; on its wire: ${wire}

  ixy-ts devices
  ixy-ts forward 0000:00:02.0 0000:01:00.0 &     and then, from one host to the other:
  ip netns exec left ping 10.0.0.2
  ip netns exec left iperf3 -s -D; ip netns exec right iperf3 -c 10.0.0.1
  ixy-ts pktgen 0000:02:00.0 --duration 5

Ctrl-D or poweroff ends the machine, Ctrl-A X kills it. docs/virtual-machine.md has more.

`

/** The tool on the PATH, and a shell that prefers the real ip and ping to its own. */
function addShell(archive: CpioArchive, repository: string, accelerator: Accelerator): void {
  // Under TCG a Node without V8's helper threads is about twice as fast.
  const flags = accelerator === 'tcg' ? '--single-threaded ' : ''
  const launcher = `${PRODUCT_FOLDER}/bin/ixy-ts`
  archive.file('/usr/bin/ixy-ts', `#!/bin/sh\nexec node ${flags}${launcher} "$@"\n`, 0o755)
  archive.file(INIT, readFileSync(join(repository, 'test/guest/vm-init.sh')), 0o755)
  archive.file('/etc/motd', MOTD)
  archive.file('/etc/profile', "alias ip=/usr/bin/ip ping=/usr/bin/ping\nexport PS1='vm:\\w# '\ncd\n")
}

async function main(): Promise<number> {
  const note = (line: string): void => console.log(line)
  const repository = process.cwd()
  const cache = join(repository, '.cache/guest')
  const logs = join(cache, 'logs')
  mkdirSync(logs, { recursive: true })
  const sockets = mkdtempSync(join(tmpdir(), 'ixy-vm-'))
  process.once('exit', () => rmSync(sockets, { recursive: true, force: true }))

  const tree = debianTree(cache, note)
  const base = join(sockets, 'base.cpio')
  buildInitramfs(base, { tree, modules: new KernelModules(tree, cache), repository })
  const { accelerator, reason } = await chooseAccelerator({ tree, initramfs: base, sockets, logs })
  note(`booting Linux ${tree.kernelRelease} under ${accelerator} (${reason})`)
  const initramfs = join(sockets, 'initramfs.cpio')
  extendInitramfs(initramfs, base, (archive) => addShell(archive, repository, accelerator))

  const nic = join(sockets, 'nic')
  const server = start([process.execPath, join(repository, 'bin/ixy-ts'), 'vnic', nic, '--wire', wire])
  await until('ixy-ts vnic listens', 20, () => {
    if (server.child.exitCode !== null) throw new Error(`ixy-ts vnic has ended: ${server.output()}`)
    return existsSync(nic)
  })
  const { columns = 80, rows = 24 } = process.stdout
  const words = `rdinit=${INIT} TERM=${process.env['TERM'] ?? 'linux'} VM_ROWS=${rows} VM_COLUMNS=${columns}`
  const [program = '', ...args] = [
    ...qemuMachine({ tree, accelerator, cpus: 2, megabytes: MEGABYTES, initramfs, kernelWords: words }),
    ...['-chardev', `file,id=console,path=${join(logs, 'vm.log')}`, '-serial', 'chardev:console'],
    // Ctrl-C is the guest's.
    ...['-chardev', 'stdio,id=terminal,mux=on,signal=off', '-device', 'virtio-serial-pci,addr=1e'],
    ...['-device', 'virtconsole,chardev=terminal'],
    ...wires(sockets),
    ...['-device', 'virtio-net-pci,netdev=a,addr=2,romfile='],
    ...['-device', 'pcie-root-port,id=port1,slot=1', '-device', 'virtio-net-pci,netdev=b,bus=port1,romfile='],
    ...vnicDevice(nic, 2),
    ...['-device', 'e1000e,netdev=left,addr=8,romfile=', '-device', 'e1000e,netdev=right,addr=9,romfile='],
  ]
  const qemu = spawn(program, args, { stdio: 'inherit' })
  const [code] = (await once(qemu, 'exit')) as [number | null]
  await server.stop()
  return code ?? 1
}

/** Two cables, each between a card of ixy-ts and one of Linux's. */
function wires(sockets: string): string[] {
  return [['a', 'left'] as const, ['b', 'right'] as const].flatMap(([ours, linux]) => {
    const end = (at: 'local' | 'remote', name: string): string =>
      `${at}.type=unix,${at}.path=${join(sockets, name)}`
    const netdev = (id: string, other: string): string[] => [
      '-netdev',
      `dgram,id=${id},${end('local', id)},${end('remote', other)}`,
    ]
    return [...netdev(ours, linux), ...netdev(linux, ours)]
  })
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`make vm: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  },
)
