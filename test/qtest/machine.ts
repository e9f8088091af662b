/**
 * A machine of QEMU's without a running CPU (`-accel qtest`): network cards that others wrote, for drivers in this process. It starts
 * in 0.1 s and needs no kernel, no root and no KVM.
 */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { close, createMemfd } from '../../src/linux/file.ts'
import { mmap, munmap, viewOf } from '../../src/linux/mapping.ts'
import { POLLIN, pollOne } from '../../src/linux/poll.ts'
import { UnixListener, type UnixSocket } from '../../src/linux/unix-socket.ts'
import type { DmaSegment } from '../../src/memory/arena.ts'
import type { AccessPath } from '../../src/pci/transport.ts'
import { Undo } from '../../src/undo.ts'
import { fetchedTree, qemuOf } from '../guest/harness/debian.ts'
import { has } from '../skip.ts'
import { QtestClient } from './client.ts'
import { FarEnd } from './far-end.ts'
import { Monitor } from './monitor.ts'
import { AddressMap, PortConfigSpace, type PlacedBar } from './pci.ts'
import { QtestTransport } from './transport.ts'

const PROGRAM = 'qemu-system-x86_64'
/** Milliseconds for QEMU to connect. */
const DEADLINE = 20_000
/** RAM besides the cards' DMA memory; messages of MSI-X are written to it. */
const RAM = 16 * 2 ** 20
const MESSAGES = 0x10_0000
const MOST_MEMORY = '64G'

interface Qemu {
  readonly command: readonly string[]
  readonly environment: NodeJS.ProcessEnv
}

/** That of the guest tests if it has been fetched, else the machine's own. */
export function findQemu(): Qemu | null {
  const tree = process.arch === 'x64' ? fetchedTree('.cache/guest') : null
  if (tree !== null) {
    const { command, modules } = qemuOf(tree)
    return { command, environment: { ...process.env, QEMU_MODULE_DIR: modules } }
  }
  const accelerators = has(PROGRAM) ? spawnSync(PROGRAM, ['-accel', 'help'], { encoding: 'utf8' }) : null
  return accelerators?.stdout.includes('qtest') === true
    ? { command: [PROGRAM], environment: process.env }
    : null
}

const qemu = findQemu()

/** Why there is no such machine here; null if there is. */
export const noQemu = qemu === null ? `needs the program ${PROGRAM} (make guest-tree fetches one)` : null

export interface Nic {
  /** `-device` without bus, address and netdev: `virtio-net-pci,disable-modern=on`. */
  readonly device: string
  /** Behind a PCIe root port of its own; else on the root bus. */
  readonly behindPort?: boolean
  /** `-netdev` without its id; a connection to this process (farEnd) by default. */
  readonly netdev?: string
}

export interface MachineOptions {
  /** What QEMU is started with: `ip netns exec …`. */
  readonly wrapper?: readonly string[]
  /** More of QEMU's command line. */
  readonly more?: readonly string[]
}

interface Listening {
  readonly listener: UnixListener
  readonly path: string
}

export class Machine {
  readonly monitor: Monitor
  readonly farEnds: readonly FarEnd[]
  readonly client: QtestClient
  private readonly nics: readonly Nic[]
  private readonly addresses = new AddressMap()
  private readonly undo = new Undo()
  private readonly errors: string
  private readonly ram: ArrayBuffer
  private messages = 0
  /** Files that are the machine's memory already. */
  private readonly mapped = new Set<number>()

  /** Starts it with these cards, and connects to it. */
  constructor(nics: readonly Nic[], { wrapper = [], more = [] }: MachineOptions = {}) {
    if (qemu === null) throw new Error(noQemu ?? '')
    this.nics = nics
    try {
      const directory = mkdtempSync(join(tmpdir(), 'ixy-qtest-'))
      this.undo.push(() => rmSync(directory, { recursive: true, force: true }))
      this.errors = join(directory, 'stderr')
      const listen = (name: string): Listening => {
        const path = join(directory, name)
        const listener = UnixListener.listen(path)
        this.undo.push(() => listener.close())
        return { listener, path }
      }
      const qtest = listen('qtest')
      const monitor = listen('monitor')
      const wires = nics.map(({ netdev }, i) => (netdev === undefined ? listen(`wire${i}`) : null))
      const ram = createMemfd('qtest-ram', RAM)
      this.undo.push(() => close(ram))
      const mapped = mmap(RAM, { fd: ram })
      this.undo.push(() => munmap(mapped, RAM))
      this.ram = viewOf(mapped, RAM)
      const { command, environment } = qemu
      this.start(environment, [
        ...[...wrapper, ...command],
        ...['-accel', 'qtest', '-qtest', `unix:${qtest.path},server=off`, '-qtest-log', 'none'],
        ...['-machine', 'q35,memory-backend=ram', '-nodefaults', '-display', 'none', '-no-user-config'],
        ...['-object', `memory-backend-file,id=ram,size=${RAM},share=on,mem-path=${pathOf(ram)}`],
        ...['-m', `${RAM / 2 ** 20}M,slots=8,maxmem=${MOST_MEMORY}`],
        ...['-qmp', `unix:${monitor.path},server=off`],
        ...nics.flatMap((nic, i) => argumentsOf(nic, i, wires[i])),
        ...more,
      ])
      const connect = ({ listener }: Listening): UnixSocket => this.accept(listener)
      this.client = new QtestClient(connect(qtest))
      this.undo.push(() => this.client.close())
      this.monitor = new Monitor(connect(monitor))
      this.undo.push(() => this.monitor.close())
      this.farEnds = wires.flatMap((wire) => (wire === null ? [] : [new FarEnd(connect(wire))]))
      this.undo.push(() => this.farEnds.forEach((end) => end.close()))
    } catch (error) {
      this.undo.runQuietly()
      throw error
    }
  }

  /** The card as a driver gets it, its BARs placed. Once per card. `access`: what it passes for. */
  open(nic: number, access: AccessPath = 'sysfs'): QtestTransport {
    const { config, bars } = this.place(nic)
    return new QtestTransport(
      {
        client: this.client,
        mapDma: (segment) => this.mapDma(segment),
        messageWords: (count) => this.messageWords(count),
      },
      `qtest:${nic}`,
      access,
      config,
      bars,
    )
  }

  /** What QEMU has complained about: `virtio_error` is its verdict on a driver's mistake. */
  complaints(): string[] {
    const lines = readFileSync(this.errors, 'utf8').split('\n')
    return lines.filter((line) => line !== '' && !line.includes('warning:'))
  }

  /** Ends QEMU. Idempotent. */
  stop(): void {
    this.undo.run()
  }

  private place(nic: number): { config: PortConfigSpace; bars: PlacedBar[] } {
    const slot = slotOf(nic)
    const onRoot = new PortConfigSpace(this.client, 0, slot)
    if (this.nics[nic].behindPort !== true) return { config: onRoot, bars: this.addresses.placeBars(onRoot) }
    return this.addresses.behindPort(onRoot, (bus) => {
      const config = new PortConfigSpace(this.client, bus, 0)
      return { config, bars: this.addresses.placeBars(config) }
    })
  }

  /** The segment becomes a memory module of the machine, at the address that the card is told. */
  private mapDma({ fd, fdOffset, iova, bytes }: DmaSegment): void {
    if (fdOffset > 0) throw new Error('an arena of one segment')
    if (this.mapped.has(fd)) return
    const id = this.mapped.add(fd).size
    this.monitor.run('object-add', {
      'qom-type': 'memory-backend-file',
      id: `dma${id}`,
      'mem-path': pathOf(fd),
      size: bytes,
      share: true,
    })
    this.monitor.run('device_add', { driver: 'pc-dimm', id: `dimm${id}`, memdev: `dma${id}`, addr: iova })
  }

  private messageWords(count: number): { words: Uint32Array; address: number } {
    const address = MESSAGES + this.messages * 4
    this.messages += count
    return { words: new Uint32Array(this.ram, address, count), address }
  }

  /** It ends with this process, however that ends. */
  private start(env: NodeJS.ProcessEnv, command: readonly string[]): void {
    const errors = openSync(this.errors, 'w')
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
      stdio: ['ignore', errors, errors],
      env,
    })
    closeSync(errors)
    child.unref()
    this.undo.push(() => child.kill('SIGKILL'))
  }

  private accept(listener: UnixListener): UnixSocket {
    const deadline = performance.now() + DEADLINE
    while (performance.now() < deadline) {
      const socket = pollOne(listener.fd, POLLIN, 100) === 0 ? null : listener.accept()
      if (socket !== null) return socket
      if (this.complaints().length > 0) break
    }
    throw new Error(`QEMU has not connected to ${listener.path}: ${this.complaints().join('; ')}`)
  }
}

/** Where another process finds an open file of this one. */
function pathOf(fd: number): string {
  return `/proc/${process.pid}/fd/${fd}`
}

/** Slots 0 and 31 are the chipset's. */
function slotOf(nic: number): number {
  return 2 + nic
}

function argumentsOf({ device, behindPort, netdev }: Nic, i: number, wire: Listening | null): string[] {
  const slot = slotOf(i)
  const far = netdev ?? `stream,server=off,addr.type=unix,addr.path=${wire?.path}`
  const [kind, ...rest] = far.split(',')
  const net = ['-netdev', [kind, `id=net${i}`, ...rest].join(',')]
  if (behindPort !== true) return [...net, '-device', `${device},id=nic${i},netdev=net${i},addr=${slot}`]
  return [
    ...net,
    ...['-device', `pcie-root-port,id=port${i},chassis=${slot},addr=${slot}`],
    ...['-device', `${device},id=nic${i},netdev=net${i},bus=port${i}`],
  ]
}
