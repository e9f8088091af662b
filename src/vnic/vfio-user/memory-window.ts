/**
 * Room for the pages of an IOMMU: a client behind one shares its memory page by page, each at its own place of the file.
 * Every page is mapped where its I/O virtual address puts it in the window, so that what is contiguous for the client's
 * device is contiguous here too, and one view serves all of it.
 */
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  munmap,
  PROT_NONE,
  viewOf,
} from '../../linux/mapping.ts'
import { type Bytes, bytesOver } from '../../packet/bytes.ts'

/** Bytes of a window; it starts at a multiple of that. */
export const WINDOW_BYTES = 2 ** 28

const RESERVED = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE

export class MemoryWindow {
  /** I/O virtual address of its first byte. */
  readonly iova: number
  /** All of it. Only what is mapped may be touched. */
  readonly bytes: Bytes
  /** Mappings in it. */
  users = 0
  private readonly address: bigint

  constructor(iova: number) {
    this.iova = iova
    this.address = mmap(WINDOW_BYTES, { protection: PROT_NONE, flags: RESERVED })
    this.bytes = bytesOver(viewOf(this.address, WINDOW_BYTES))
  }

  /** Maps a part of a file at its place. Throws LinuxError. */
  map(iova: number, bytes: number, fd: number, offset: number, protection: number): void {
    const address = this.address + BigInt(iova - this.iova)
    try {
      mmap(bytes, { address, fd, offset, protection, flags: MAP_SHARED | MAP_FIXED })
    } catch (error) {
      // It may have left a hole.
      mmap(bytes, { address, protection: PROT_NONE, flags: RESERVED | MAP_FIXED })
      throw error
    }
    this.users++
  }

  unmap(iova: number, bytes: number): void {
    const address = this.address + BigInt(iova - this.iova)
    mmap(bytes, { address, protection: PROT_NONE, flags: RESERVED | MAP_FIXED })
    this.users--
  }

  /** Gives the room back. Its view must not be touched any more. */
  close(): void {
    munmap(this.address, WINDOW_BYTES)
  }
}
