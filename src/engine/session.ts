/** From device arguments to devices that are ready for workers, and back. */
import type { Device, QueueSpec } from '../driver/device.ts'
import { DRIVERS, requireWithinLimits } from '../driver/registry.ts'
import type { IxyError } from '../errors.ts'
import { removeStaleHugepageFiles } from '../linux/hugepages.ts'
import { runtimeDirectoryOrNull } from '../linux/runtime-dir.ts'
import { DmaArena } from '../memory/arena.ts'
import { type PacketMemorySpec, bufferShiftFor, packetMemoryBytes } from '../memory/packets.ts'
import type { ArenaFile } from '../memory/wasm-space.ts'
import { type DeviceAddress, formatDevice, parseDevice } from '../pci/address.ts'
import { readIds } from '../pci/ids.ts'
import { openTransport } from '../pci/open.ts'
import type { Transport } from '../pci/transport.ts'
import { Undo } from '../undo.ts'
import { DEFAULTS } from './settings.ts'
import { type Placement, allocateAt, place } from './placement.ts'
import type { DeviceInfo, RunObserver, RunOptions } from './types.ts'
import { type NicLog, VirtualNics } from './virtual.ts'
import type { Watchdog } from './watchdog.ts'

const ETHERNET_HEADER = 14
const FCS = 4
const VLAN_TAG = 4

/** What isn't given is as in DEFAULTS (settings.ts). */
export type SessionOptions = Pick<RunOptions, 'devices'> &
  Partial<Pick<RunOptions, 'access' | 'cpus' | 'queues' | 'ringSize' | 'force' | 'mtu' | 'mode'>> & {
    /** Buffer pools besides one per device. Default 0. */
    readonly extraPools?: number
  }

/** Who wants to know of, or has a say in, the opening of a session. */
export interface Attendants {
  /** Told when a device blocks this thread, and what virtual NICs have to say. */
  readonly observer?: Pick<RunObserver, 'warning' | 'progress'>
  /** Ends the wait for virtual devices: IXY_ERR_STOP. */
  readonly stop?: AbortSignal
  /** Guards cards that would go on with DMA without this process. */
  readonly watchdog?: Pick<Watchdog, 'guard'>
}

const NOBODY = { warning: () => undefined, progress: () => undefined }

/** The memory and the queue pairs of one worker: one per device. */
export interface QueueSet {
  readonly memory: PacketMemorySpec
  /** What all of it is part of. */
  readonly arena: ArenaFile
  readonly ports: readonly QueueSpec[]
}

export class Session {
  readonly devices: readonly Device[]
  /** One for each queue number; a worker takes one. */
  readonly queueSets: readonly QueueSet[]
  /** The virtual NICs among the devices, null if there are none. */
  readonly virtual: VirtualNics | null
  /** For each report of `virtual`, the index of its device. */
  readonly virtualIndexes: readonly number[]
  /** Where memory is and workers should be. */
  readonly placement: Placement
  private readonly transports: readonly Transport[]
  /** Gives all but `virtual` back. */
  private readonly undo: Undo

  private constructor(parts: {
    devices: readonly Device[]
    queueSets: readonly QueueSet[]
    virtual: VirtualNics | null
    virtualIndexes: readonly number[]
    placement: Placement
    transports: readonly Transport[]
    undo: Undo
  }) {
    this.devices = parts.devices
    this.queueSets = parts.queueSets
    this.virtual = parts.virtual
    this.virtualIndexes = parts.virtualIndexes
    this.placement = parts.placement
    this.transports = parts.transports
    this.undo = parts.undo
  }

  /**
   * Takes every device, resets and initialises it. Either all of them or none: what was taken is given back when one
   * fails. No packet comes in before Device.start().
   */
  static async open(
    given: SessionOptions,
    { observer = NOBODY, stop, watchdog }: Attendants = {},
  ): Promise<Session> {
    const options = { ...DEFAULTS, extraPools: 0, ...given }
    const addresses = options.devices.map(parseDevice)
    const log: NicLog = (level, text) => observer[level](text)
    const { virtual, indexes } = await startVirtual(addresses, { log, ...(stop && { stop }) })
    const undo = new Undo()
    try {
      // Memory goes last: a card whose set-up has failed half way does DMA until its transport is closed.
      let arena: DmaArena | null = null
      undo.push(() => arena?.close())

      const transports = addresses.map((address, i) => {
        const socket = virtual?.sockets[indexes.indexOf(i)]
        const target: DeviceAddress =
          address.kind === 'virtual' && socket !== undefined ? { kind: 'vfio-user', socket } : address
        const transport = openTransport(target, {
          ...options,
          known: DRIVERS,
          name: formatDevice(address),
          onSlow: (message) => observer.warning(message),
        })
        undo.push(() => transport.close())
        // With VFIO the kernel resets the card when this process has ended.
        if (address.kind === 'pci' && transport.access === 'sysfs')
          watchdog?.guard({ configFile: `/sys/bus/pci/devices/${address.address}/config` })
        return transport
      })

      const bufferShift = bufferShiftFor(ETHERNET_HEADER + VLAN_TAG + options.mtu)
      // A packet is in a receive ring, in a transmit ring or in a batch: twice the rings is never too few.
      const poolShift = Math.log2(options.ringSize) + 2
      const pools = transports.length + options.extraPools
      const packets = packetMemoryBytes(bufferShift, poolShift, pools)
      const interrupts = options.mode !== 'poll'
      const found = transports.map(({ name, config }) => {
        const { driver, model } = DRIVERS.driverOf(name, readIds(config, name), options.force)
        requireWithinLimits(name, driver, { ...options, interrupts })
        return { driver, model }
      })
      const rings = found.reduce((sum, { driver }) => sum + driver.dmaBytes(options), 0)
      const spare = options.queues * (1 << bufferShift)
      const physical = transports.some((transport) => transport.needsPhysicalAddresses)
      const placement = place(transports, options.cpus)
      const memory = allocateAt(
        placement,
        () => new DmaArena(options.queues * packets + rings + spare, physical),
      )
      arena = memory
      for (const transport of transports) for (const segment of memory.segments) transport.mapDma(segment)

      const memories = Array.from({ length: options.queues }, () =>
        memory.takePackets(bufferShift, poolShift, pools),
      )
      const devices = transports.map((transport, i) => {
        const { driver, model } = found[i]
        const device = driver.open(transport, memory, {
          queues: options.queues,
          ringSize: options.ringSize,
          bufferShift,
          maxFrame: ETHERNET_HEADER + options.mtu + FCS,
          model,
          interrupts,
          warn: (message) => observer.warning(`${transport.name}: ${message}`),
        })
        undo.push(() => device.close())
        return device
      })
      // The cards have been reset: nothing writes any more to what a killed predecessor has left.
      removeStaleHugepageFiles()

      const queueSets = memories.map((packets, queue) => ({
        memory: packets,
        arena: memory.file,
        ports: devices.map((device) => device.queues[queue]),
      }))
      return new Session({
        devices,
        queueSets,
        virtual,
        virtualIndexes: indexes,
        placement,
        transports,
        undo,
      })
    } catch (error) {
      undo.runQuietly()
      await virtual?.close()
      throw error
    }
  }

  infos(): DeviceInfo[] {
    return this.devices.map((device, index) => ({
      index,
      device: device.name,
      model: device.model,
      mac: device.mac,
      access: this.transports[index].access,
      linkMbit: device.link().mbit,
    }))
  }

  /** True if one of the virtual devices doesn't answer any more. */
  virtualHangs(): boolean {
    return this.virtualIndexes.some((index) => {
      try {
        this.devices[index].assertAlive()
        return false
      } catch {
        return true
      }
    })
  }

  /** Throws why, if a device has gone. */
  assertAlive(): void {
    this.virtual?.assertAlive()
    for (const device of this.devices) device.assertAlive()
  }

  /**
   * Gives everything back. No worker may run any more. The process of virtual devices gets `milliseconds` to close its
   * files. Returns what they could not complete, null if there is nothing. Idempotent, never rejects.
   */
  async close(milliseconds?: number): Promise<IxyError | null> {
    this.undo.runQuietly()
    return (await this.virtual?.close(milliseconds)) ?? null
  }
}

/** One child process for all virtual NICs of the command. */
async function startVirtual(
  addresses: readonly DeviceAddress[],
  options: { log: NicLog; stop?: AbortSignal },
): Promise<{ virtual: VirtualNics | null; indexes: number[] }> {
  const indexes: number[] = []
  const specs: { name: string; wire: string }[] = []
  addresses.forEach((address, i) => {
    if (address.kind !== 'virtual') return
    indexes.push(i)
    specs.push({ name: formatDevice(address), wire: address.wire })
  })
  if (specs.length === 0) return { virtual: null, indexes }
  return { virtual: await VirtualNics.start(runtimeDirectoryOrNull(), specs, options), indexes }
}
