/**
 * A way to reach a PCI function. Three exist: sysfs, VFIO and a vfio-user server; the driver never knows which. A fourth, vhost-user, leads
 * to something that only looks like one; a fifth to a TAP interface of Linux, which doesn't even do that.
 *
 * Everything here is control plane: called from the main thread, a few thousand times per run at most.
 * The data plane gets doorbells and touches nothing else of a transport.
 */
import type { HandoverPlace } from '../linux/handover.ts'
import type { DmaSegment } from '../memory/arena.ts'

export type AccessPath = 'sysfs' | 'vfio' | 'vfio-user' | 'vhost-user' | 'tap'

/** PCI configuration space as far as it can be read; offsets in bytes, values unsigned, little-endian. */
export interface ReadableConfig {
  read8(offset: number): number
  read16(offset: number): number
  read32(offset: number): number
}

export interface ConfigSpace extends ReadableConfig {
  write8(offset: number, value: number): void
  write16(offset: number, value: number): void
  write32(offset: number, value: number): void
}

/**
 * The registers of one BAR as far as they can be read. Offsets in bytes, multiples of the width; values unsigned,
 * little-endian. A read may have side effects and is never elided. Each access has exactly the width of its name: there are
 * devices that answer no other. Throws RangeError for a place that isn't there.
 */
export interface ReadableBar {
  /** Size of the BAR in bytes. */
  readonly bytes: number
  /** Registers in memory, or behind I/O ports. */
  readonly space: 'memory' | 'io'
  read8(offset: number): number
  read16(offset: number): number
  read32(offset: number): number
  /** As read32 at each of these, in this order; present where that may be faster than one after the other. */
  readAll32?(offsets: readonly number[]): number[]
}

export interface RegisterWindow extends ReadableBar {
  write8(offset: number, value: number): void
  write16(offset: number, value: number): void
  write32(offset: number, value: number): void
}

/**
 * A register that workers write to tell the device that there is something in a ring. Can be posted to a worker, and is valid
 * in every thread of this process until the transport is closed.
 */
export type Doorbell =
  /** In the 4 KiB page at this virtual address, at this byte: a worker makes its own view of the page. */
  | { readonly kind: 'memory'; readonly page: bigint; readonly offset: number }
  /** At this byte of an open file, written by pwrite, a system call each time: I/O ports can't be mapped. */
  | { readonly kind: 'file'; readonly fd: number; readonly offset: number }
  /** An eventfd, signalled by a system call. */
  | { readonly kind: 'eventfd'; readonly fd: number }

/** What can be seen of a function that nobody has to be taken away from. */
export interface FunctionView {
  /** As the user wrote it and as every line of output shows it: `0000:03:00.0`, `virtual:gen`. */
  readonly name: string
  readonly config: ReadableConfig
  /** BAR 0 to 5, opened when it is first asked for. Throws IXY_ERR_DEVICE_UNSUPPORTED if the function has none of this number. */
  bar(index: number): ReadableBar
}

export interface Transport extends FunctionView {
  readonly access: AccessPath
  /** NUMA node of the device, -1 if the system doesn't tell. */
  readonly numaNode: number
  readonly config: ConfigSpace
  bar(index: number): RegisterWindow

  /** True if the device sees physical addresses: memory must then be in huge pages with known frame numbers. */
  readonly needsPhysicalAddresses: boolean

  /** Makes `segment` accessible to the device at `segment.iova`. Called once per segment, before the driver starts. */
  mapDma(segment: DmaSegment): void

  /** How workers reach the register at byte `offset` of a BAR; null if only this thread can, by the BAR itself. */
  doorbell(bar: number, offset: number): Doorbell | null

  /**
   * By which driver and device let each other run; null for a device that is no thread on this machine. Valid as a doorbell is.
   */
  readonly handover?: HandoverPlace | null

  /** Eventfds, one per MSI-X vector 0…count-1, armed. Closed by close(). */
  enableInterrupts(count: number): readonly number[]

  /**
   * Throws IXY_ERR_DEVICE_GONE when the device has vanished. Cheap; called several times a second by the engine.
   */
  assertAlive(): void

  /** Undoes everything: masters off, mappings gone, the kernel's driver bound again. Idempotent, never throws. */
  close(): void
}
