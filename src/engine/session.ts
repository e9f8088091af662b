/** From device arguments to devices that are ready for workers, and back. */
import type { Device, QueueSpec } from '../driver/device.ts'
import type { Driver } from '../driver/driver.ts'
import { DRIVERS, requireWithinLimits } from '../driver/registry.ts'
import type { IxyError } from '../errors.ts'
import { removeStaleHugepageFiles } from '../linux/hugepages.ts'
import { runtimeDirectoryOrNull } from '../linux/runtime-dir.ts'
import type { DmaArena } from '../memory/arena.ts'
import type { OffloadUse, OffloadsSpec } from '../memory/offloads.ts'
import type { PacketMemorySpec } from '../memory/packets.ts'
import type { ArenaFile } from '../memory/wasm-space.ts'
import { FCS_BYTES, HEADER_BYTES } from '../packet/ethernet.ts'
import { type DeviceAddress, formatDevice, parseDevice } from '../pci/address.ts'
import type { Model } from '../pci/ids.ts'
import { openTransport } from '../pci/open.ts'
import type { Transport } from '../pci/transport.ts'
import { Undo } from '../undo.ts'
import { DEFAULTS } from './settings.ts'
import { type Placement, allocateAt, place } from './placement.ts'
import { type PacketShape, allocate, shapeOf } from './session-memory.ts'
import type { DeviceInfo, RunObserver, RunOptions } from './types.ts'
import { type NicLog, VirtualNics } from './virtual.ts'
import type { Watchdog } from './watchdog.ts'

/** What isn't given is as in DEFAULTS (settings.ts). */
export type SessionOptions = Pick<RunOptions, 'devices'> &
  Partial<
    Pick<
      RunOptions,
      'access' | 'batchSize' | 'cpus' | 'queues' | 'ringSize' | 'force' | 'mtu' | 'mode' | 'inspect'
    >
  > & {
    /** Packets of one port that the app keeps beyond a batch. Default 0. */
    readonly held?: number
    /** Buffer pools besides one per device. Default 0. */
    readonly extraPools?: number
    /** What the app does with offloads; null, the default: nothing. */
    readonly offloads?: OffloadUse | null
  }

type CompleteOptions = Required<SessionOptions>

type Observer = Pick<RunObserver, 'warning' | 'progress'>

/** Who wants to know of, or has a say in, the opening of a session. */
export interface Attendants {
  /** Told when a device blocks this thread, and what virtual NICs have to say. */
  readonly observer?: Observer
  /** Ends the wait for virtual devices: IXY_ERR_STOP. */
  readonly stop?: AbortSignal
  /** Guards cards that would go on with DMA without this process. */
  readonly watchdog?: Pick<Watchdog, 'guard'>
}

const NOBODY: Observer = { warning: () => undefined, progress: () => undefined }

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
  /** Packets per batch: as wanted, or what suits the devices. */
  readonly batchSize: number
  private readonly transports: readonly Transport[]
  /** Gives all but `virtual` back. */
  private readonly undo: Undo

  private constructor(parts: {
    devices: readonly Device[]
    queueSets: readonly QueueSet[]
    virtual: VirtualNics | null
    virtualIndexes: readonly number[]
    placement: Placement
    batchSize: number
    transports: readonly Transport[]
    undo: Undo
  }) {
    this.devices = parts.devices
    this.queueSets = parts.queueSets
    this.virtual = parts.virtual
    this.virtualIndexes = parts.virtualIndexes
    this.placement = parts.placement
    this.batchSize = parts.batchSize
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
    const options = { ...DEFAULTS, extraPools: 0, held: 0, offloads: null, ...given }
    const addresses = options.devices.map(parseDevice)
    const batchSize = options.batchSize ?? DRIVERS.usualBatch(addresses, options.ringSize)
    const shape = shapeOf({ ...options, batchSize }, addresses.length)
    const { virtual, indexes } = await startVirtual(addresses, {
      log: (level, text) => observer[level](text),
      // Cards tell what they have found out about checksums.
      inspect: options.inspect || options.offloads === 'uses',
      ...(stop && { stop }),
    })
    const undo = new Undo()
    try {
      // Memory goes last: a card whose set-up has failed half way does DMA until its transport is closed.
      let arena: DmaArena | null = null
      undo.push(() => arena?.close())
      const transports = addresses.map((address, i) => {
        const transport = openOne(address, virtual?.sockets[indexes.indexOf(i)], options, observer)
        undo.push(() => transport.close())
        guard(address, transport, watchdog)
        return transport
      })
      const drivers = transports.map((transport) => driverOf(transport, options))
      const offloads = offloadsOf(options, drivers, addresses, shape)
      const placement = place(transports, options.cpus)
      const memory = allocateAt(placement, () => allocate(options, shape, drivers))
      arena = memory
      for (const transport of transports) for (const segment of memory.segments) transport.mapDma(segment)
      const packets = Array.from({ length: options.queues }, () =>
        memory.takePackets(shape.bufferShift, shape.poolShift, shape.pools),
      )
      const devices = drivers.map((found) => {
        const device = openDevice(
          found,
          memory,
          { ...options, offloads: offloads?.use ?? null },
          shape,
          observer,
        )
        undo.push(() => device.close())
        return device
      })
      // The cards have been reset: nothing writes any more to what a killed predecessor has left.
      removeStaleHugepageFiles()
      const queueSets = packets.map((ofQueue, queue) => ({
        memory: offloads === null ? ofQueue : { ...ofQueue, offloads },
        arena: memory.file,
        ports: devices.map((device) => device.queues[queue]),
      }))
      return new Session({
        devices,
        queueSets,
        virtual,
        virtualIndexes: indexes,
        placement,
        batchSize,
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
    return this.devices.map((device, index) => {
      const { name, model, mac } = device
      const { access } = this.transports[index]
      const { up, mbit } = device.link()
      return { index, device: name, model, mac, access, linkUp: up, linkMbit: mbit }
    })
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
  options: { log: NicLog; inspect: boolean; stop?: AbortSignal },
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

/** `socket`: of the server that plays the device, if it is a virtual one. */
function openOne(
  address: DeviceAddress,
  socket: string | undefined,
  { access, force }: CompleteOptions,
  observer: Observer,
): Transport {
  const target: DeviceAddress =
    address.kind === 'virtual' && socket !== undefined ? { kind: 'vfio-user', socket } : address
  return openTransport(target, {
    access,
    force,
    known: DRIVERS,
    name: formatDevice(address),
    onSlow: (message) => observer.warning(message),
  })
}

/** With VFIO the kernel resets the card when this process has ended; without, somebody else has to. */
function guard(
  address: DeviceAddress,
  { access }: Transport,
  watchdog: Pick<Watchdog, 'guard'> | undefined,
): void {
  if (address.kind === 'pci' && access === 'sysfs')
    watchdog?.guard({ configFile: `/sys/bus/pci/devices/${address.address}/config` })
}

/** Whose a device is. */
interface Found {
  readonly transport: Transport
  readonly driver: Driver
  readonly model: Model
}

function driverOf(transport: Transport, options: CompleteOptions): Found {
  const found = DRIVERS.driverFor(transport, options.force)
  requireWithinLimits(transport.name, found.driver, { ...options, interrupts: wantsInterrupts(options) })
  return { transport, ...found }
}

/**
 * An app that understands open checksums need not, where no device gives packets that have one. Nor where a virtual card is to complete
 * them: it does so one by one, and takes longer than who has received them.
 */
function offloadsOf(
  { offloads }: CompleteOptions,
  drivers: readonly Found[],
  addresses: readonly DeviceAddress[],
  { pools }: PacketShape,
): OffloadsSpec | null {
  if (offloads === 'uses') return { use: offloads, pool: pools - 1 }
  const needed =
    drivers.some(({ driver }) => driver.opensChecksums === true) &&
    addresses.every(({ kind }) => kind !== 'virtual')
  return offloads !== null && needed ? { use: offloads, pool: -1 } : null
}

function wantsInterrupts({ mode }: SessionOptions): boolean {
  return mode !== 'poll'
}

function openDevice(
  { transport, driver, model }: Found,
  arena: DmaArena,
  options: CompleteOptions,
  { bufferShift }: PacketShape,
  observer: Observer,
): Device {
  return driver.open(transport, arena, {
    queues: options.queues,
    ringSize: options.ringSize,
    bufferShift,
    maxFrame: HEADER_BYTES + options.mtu + FCS_BYTES,
    model,
    interrupts: wantsInterrupts(options),
    offloads: options.offloads,
    warn: (message) => observer.warning(`${transport.name}: ${message}`),
  })
}
