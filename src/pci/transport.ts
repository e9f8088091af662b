/**
 * A way to reach a PCI function. Three exist: sysfs, VFIO and a vfio-user server; the driver never knows which.
 *
 * Everything here is control plane: called from the main thread, a few thousand times per run at most.
 * The data plane gets raw addresses (see `doorbellPage`) and touches nothing else of a transport.
 */
import type { DmaSegment } from '../memory/arena.ts'

export type AccessPath = 'sysfs' | 'vfio' | 'vfio-user'

/** PCI configuration space; offsets in bytes, little-endian values. */
export interface ConfigSpace {
  read8(offset: number): number
  read16(offset: number): number
  read32(offset: number): number
  write16(offset: number, value: number): void
}

/** BAR0: 32-bit registers. A read may have side effects and is never elided. Values are unsigned. */
export interface RegisterWindow {
  /** Size of the BAR in bytes. */
  readonly bytes: number
  read32(offset: number): number
  write32(offset: number, value: number): void
}

export interface Transport {
  /** As the user wrote it and as every line of output shows it: `0000:03:00.0`, `virtual:gen`. */
  readonly name: string
  readonly access: AccessPath
  /** NUMA node of the device, -1 if the system doesn't tell. */
  readonly numaNode: number
  readonly config: ConfigSpace
  readonly bar0: RegisterWindow

  /** True if the device sees physical addresses: memory must then be in huge pages with known frame numbers. */
  readonly needsPhysicalAddresses: boolean

  /** Makes `segment` accessible to the device at `segment.iova`. Called once per segment, before the driver starts. */
  mapDma(segment: DmaSegment): void

  /**
   * Virtual address, valid in every thread of this process until close(), of the 4 KiB page of BAR0 that starts at
   * `offset` (a multiple of 4096). Workers make their own view of it and write the tail registers there.
   */
  doorbellPage(offset: number): bigint

  /** Eventfds, one per MSI-X vector 0…count-1, armed. Closed by close(). */
  enableInterrupts(count: number): readonly number[]

  /**
   * Throws IXY_ERR_DEVICE_GONE when the device has vanished. Cheap; called several times a second by the engine.
   */
  assertAlive(): void

  /** Undoes everything: masters off, mappings gone, the kernel's driver bound again. Idempotent, never throws. */
  close(): void
}
