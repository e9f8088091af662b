/**
 * What a device is to the client: everything that vfio-user knows of it. Nothing in this folder knows more, so any model of
 * a PCI function can be served that says of itself what stands here.
 */
import type { Bytes } from '../../packet/bytes.ts'
import type { SparseArea } from '../../pci/vfio-user/protocol.ts'
import type { InterruptLines } from './interrupt-lines.ts'

/** A part of the device that the client reads and writes by messages. */
export interface ServedRegion {
  readonly bytes: number
  /** Fills `target` with what stands at `offset`. The range has been checked. */
  read(offset: number, target: Uint8Array): void
  /** Takes over `source` at `offset`. The range has been checked. */
  write(offset: number, source: Uint8Array): void
}

/** Pages of a region that the client may map and write to without a word. The device has to look at them. */
export interface Doorbells {
  /** Number of the region. */
  readonly region: number
  /** Whole pages, in ascending order. */
  readonly areas: readonly SparseArea[]
  /**
   * The file that holds the pages, each at its offset in the region. The descriptor stays the device's, and is the same one
   * until unshare(). Throws LinuxError.
   */
  share(): number
  /** What the client has mapped is no part of the device any more. */
  unshare(): void
}

/** The client's memory as the device reaches it. Addresses are below 2^52 and whole pages; nothing overlaps. */
export interface ServedMemory {
  /** See DmaMap.add. */
  add(
    iova: number,
    size: number,
    writable: boolean,
    buffer: (offset: number, size: number) => ArrayBufferLike,
  ): Generator<void, void>
  /** The `size` bytes of `bytes` from `origin` on are what the device sees at `iova`. */
  addPart(iova: number, size: number, writable: boolean, bytes: Bytes, origin: number): void
  /** The client has memory here that it doesn't share. */
  addUnshared(iova: number, size: number): void
  /** Nothing in this range is the device's any more. */
  remove(iova: number, size: number): void
}

export interface ServedDevice {
  /** By number: BARs 0 to 5, ROM, configuration space. Those that aren't there are null or missing. */
  readonly regions: readonly (ServedRegion | null | undefined)[]
  readonly doorbells: Doorbells | null
  readonly lines: InterruptLines
  readonly memory: ServedMemory
  /** Forgets every view of the client's memory: some of it is about to go. */
  invalidate(): void
  /** Puts everything but `memory` into its initial state. */
  reset(): void
}
