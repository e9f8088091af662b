/**
 * What a driver is to the main thread. One object per driver, in registry.ts; engine and commands know drivers by this
 * interface only. A driver's other half works in the workers: queues.ts.
 */
import type { DmaArena } from '../memory/arena.ts'
import type { OffloadUse } from '../memory/offloads.ts'
import type { Model, PciIds } from '../pci/ids.ts'
import type { AccessPath, FunctionView, Transport } from '../pci/transport.ts'
import type { Device } from './device.ts'

/** What a driver can do at most. Options are held against it before a device is touched. */
export interface Limits {
  /** Queue pairs of one device. */
  readonly queues: number
  /** Queue pairs whose receive queue can raise an interrupt of its own; 0: its devices are polled only. */
  readonly interruptQueues: number
  /** Descriptors per ring, powers of two. */
  readonly ringSize: { readonly min: number; readonly max: number }
  /** Largest packet after the Ethernet header, bytes. */
  readonly mtu: number
}

/** How much of everything a device is to have. */
export interface QueueOptions {
  /** Receive/transmit queue pairs. */
  readonly queues: number
  /** Descriptors per ring, a power of two. */
  readonly ringSize: number
}

export interface DeviceOptions extends QueueOptions {
  /** What identify() has said; a model nobody knows if the user insists on it. */
  readonly model: Model
  /** log2 of the packet buffers' stride (PacketMemorySpec.bufferShift). */
  readonly bufferShift: number
  /** Largest frame, bytes with FCS, without VLAN tag. */
  readonly maxFrame: number
  /** Have received packets raise interrupts. */
  readonly interrupts: boolean
  /** What the app does with offloads (PacketMemory.offloads); null or left out: packets have none. */
  readonly offloads?: OffloadUse | null
  /** Told what the device doesn't do as it should and what can be lived with; a sentence without the device's name. */
  readonly warn: (message: string) => void
}

export interface DumpedRegister {
  /** `RDLEN[3]`; without index if there is only one. */
  readonly name: string
  readonly offset: number
  /** null: reading it would change something. */
  readonly value: number | null
  /** Fields that are not 0. */
  readonly fields: Readonly<Record<string, number>>
  readonly description: string
  readonly section: string
}

export interface Driver {
  /** `ixgbe`. Its queues carry it (QueueSpec.driver), and workers find its other half by it. */
  readonly name: string
  readonly limits: Limits
  /** With offloads its devices give packets whose checksum is open; without, they complete it. Left out: packets are complete. */
  readonly opensChecksums?: boolean
  /**
   * Bytes of DMA memory that the rings of this device take; packet buffers are not among them. Some devices dictate the size of their
   * rings, so it may be asked; open() follows. null: nobody may touch it yet, and one that goes along with the options is meant.
   */
  dmaBytes(options: QueueOptions, transport: Transport | null): number
  /**
   * Resets and initialises the device, which owns the transport from now on. `arena` must have been mapped for it. No
   * packet comes in before Device.start(). Throws IXY_ERR_REGISTER when the device doesn't do as its datasheet says.
   */
  open(transport: Transport, arena: DmaArena, options: DeviceOptions): Device
}

/** A driver of PCI functions. */
export interface PciDriver extends Driver {
  /** Who makes its devices: PCI vendor id, and the name in messages. */
  readonly vendor: { readonly id: number; readonly name: string }
  /** What the user may choose from: `82599`, `X540`… */
  readonly families: readonly string[]
  /** What the function is if this driver knows it, else null. */
  identify(ids: PciIds): Model | null
  /** The device's registers as they are now. Reading them changes nothing. */
  dump(device: FunctionView): DumpedRegister[]
}

/** A driver of what the system itself offers: the way to it, and no id, tells whose it is. */
export interface SystemDriver extends Driver {
  readonly access: AccessPath
  readonly model: Model
  /** Packets per batch that suit its devices. */
  readonly batchSize: number
}
