/**
 * The host memory this device may touch: the part of an IOMMU.
 *
 * The client shares pieces of its memory at I/O virtual addresses (iova). Every DMA goes through find(); an address
 * outside is a fault, counted and reported, never followed. Views handed out are valid until `generation` changes:
 * whoever keeps one must look it up again then, because the memory behind it may be gone.
 */
import { type Bytes, bytesOver } from '../../packet/bytes.ts'
import type { Strict } from './strict.ts'

/** A stretch of host memory with one view over it. */
export interface Region {
  readonly iova: number
  readonly size: number
  readonly bytes: Bytes
  readonly writable: boolean
}

/** Views are cut to this size, so that every offset within one is a small integer. */
const CHUNK_BYTES = 2 ** 30

export class DmaMap {
  /** Changes whenever a view may have become invalid. */
  generation = 0
  /** DMA attempts outside the map. */
  faults = 0
  private readonly strict: Strict
  /** Sorted by iova, never overlapping. */
  private regions: Region[] = []
  /** Memory of the host that it doesn't share: ROMs, or all of a virtual machine's if it was started wrongly. */
  private unshared: { readonly iova: number; readonly size: number }[] = []

  constructor(strict: Strict) {
    this.strict = strict
  }

  /**
   * Maps `size` bytes at `iova`. `buffer(offset, size)` gives the memory of a part of it; it is called once per GiB.
   * Addresses are below 2^52 and multiples of 4. The caller has checked that nothing overlaps.
   */
  add(
    iova: number,
    size: number,
    writable: boolean,
    buffer: (offset: number, size: number) => ArrayBufferLike,
  ): void {
    for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
      const bytes = Math.min(CHUNK_BYTES, size - offset)
      this.regions.push({
        iova: iova + offset,
        size: bytes,
        bytes: bytesOver(buffer(offset, bytes)),
        writable,
      })
    }
    this.regions.sort((a, b) => a.iova - b.iova)
    this.generation++
  }

  /** There is memory here, but the device can't reach it. */
  addUnshared(iova: number, size: number): void {
    this.unshared.push({ iova, size })
  }

  /** Unmaps everything that lies within the range. */
  remove(iova: number, size: number): void {
    const stays = (one: { iova: number; size: number }): boolean =>
      one.iova < iova || one.iova + one.size > iova + size
    this.regions = this.regions.filter(stays)
    this.unshared = this.unshared.filter(stays)
    this.generation++
  }

  /** The region that holds `size` bytes at `iova`, or null. */
  find(iova: number, size: number): Region | null {
    let low = 0
    let high = this.regions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.regions[middle].iova <= iova) low = middle + 1
      else high = middle
    }
    if (low === 0) return null
    const region = this.regions[low - 1]
    return iova + size <= region.iova + region.size ? region : null
  }

  /** As find, for a DMA that the device is about to do: null is counted as a fault. `what` names it in the report. */
  access(iova: number, size: number, write: boolean, what: string): Region | null {
    const region = this.find(iova, size)
    if (region !== null && (region.writable || !write)) return region
    this.faults++
    const hidden = this.unshared.some((one) => one.iova < iova + size && iova < one.iova + one.size)
    const where = hidden
      ? 'in memory the client has but does not share (QEMU needs memory-backend-memfd with share=on)'
      : 'outside the memory shared with the device'
    this.strict.report('5.2.5', `${what}: DMA ${write ? 'write' : 'read'} ${where}`)
    return null
  }
}
