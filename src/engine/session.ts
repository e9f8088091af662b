/** From device arguments to devices that are ready for workers, and back. */
import type { Device, QueueSpec } from '../driver/device.ts'
import { DRIVERS } from '../driver/registry.ts'
import type { IxyError } from '../errors.ts'
import { removeStaleHugepageFiles } from '../linux/hugepages.ts'
import { runtimeDirectoryOrNull } from '../linux/runtime-dir.ts'
import type { DmaArena } from '../memory/arena.ts'
import type { PacketMemorySpec } from '../memory/packets.ts'
import type { ArenaFile } from '../memory/wasm-space.ts'
import { type DeviceAddress, formatDevice, parseDevice } from '../pci/address.ts'
import type { Transport } from '../pci/transport.ts'
import { Undo } from '../undo.ts'
import { wireClaims } from '../vnic/wires/parse.ts'
import type { App } from './app.ts'
import { DEFAULTS } from './settings.ts'
import { type Placement, allocateAt, place } from './placement.ts'
import { driverOf, guard, offloadsOf, openDevice, openOne } from './session-devices.ts'
import { allocate, shapeOf } from './session-memory.ts'
import type { DeviceInfo, SessionObserver, SessionOptions } from './types.ts'
import { type NicLog, VirtualNics } from './virtual.ts'
import type { Watchdog } from './watchdog.ts'

/** Who wants to know of, or has a say in, the opening of a session. */
export interface Attendants {
  /** Told when a device blocks this thread, and what virtual NICs have to say. */
  readonly observer?: SessionObserver
  /** Ends the wait for virtual devices: IXY_ERR_STOP. */
  readonly stop?: AbortSignal
  /** Guards cards that would go on with DMA without this process. */
  readonly watchdog?: Pick<Watchdog, 'guard'>
}

const NOBODY: SessionObserver = { warning: () => undefined, progress: () => undefined }

/** The memory and the queue pairs of one worker: one per device. */
export interface QueueSet {
  readonly memory: PacketMemorySpec
  /** What all of it is part of. */
  readonly arena: ArenaFile
  readonly ports: readonly QueueSpec[]
}

/** What an app asks of a session. */
export function wishesOf({
  pools = 0,
  held = 0,
  offloads,
}: App): Pick<SessionOptions, 'extraPools' | 'held' | 'offloads'> {
  return { extraPools: pools, held, offloads: offloads ?? null }
}

export class Session {
  readonly devices: readonly Device[]
  /** One for each queue number; a worker takes one. */
  readonly queueSets: readonly QueueSet[]
  /** The virtual NICs among the devices, null if there are none. */
  readonly virtual: VirtualNics | null
  /** For each report of `virtual`, the index of its device. */
  readonly virtualIndexes: readonly number[]
  /** All ends of all wires are its own: no TAP, no card of anybody else's. */
  readonly closed: boolean
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
    closed: boolean
    placement: Placement
    batchSize: number
    transports: readonly Transport[]
    undo: Undo
  }) {
    this.devices = parts.devices
    this.queueSets = parts.queueSets
    this.virtual = parts.virtual
    this.virtualIndexes = parts.virtualIndexes
    this.closed = parts.closed
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
        closed: addresses.every(isClosed),
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

function isClosed(address: DeviceAddress): boolean {
  return address.kind === 'virtual' && !wireClaims(address.wire).some(({ use }) => use === 'tap')
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
