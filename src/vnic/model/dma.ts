/**
 * The host memory this device may touch: the part of an IOMMU.
 *
 * The client shares pieces of its memory at I/O virtual addresses (iova). Every DMA goes through find(); an address
 * outside is a fault, counted and reported, never followed. Views handed out are valid until something is removed: whoever
 * keeps one must look it up again then (Device.invalidate), because the memory behind it may be gone.
 */
import { type Bytes, bytesOver } from '../../packet/bytes.ts'
import type { Strict } from './strict.ts'

/** A stretch of host memory that lies in one piece in a view. */
export interface Region {
  readonly iova: number
  readonly size: number
  readonly bytes: Bytes
  /** Where it starts in `bytes`. */
  readonly origin: number
  readonly writable: boolean
}

/** Views are cut to this size, so that every offset within one is a small integer. */
const CHUNK_BYTES = 2 ** 30

export class DmaMap {
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
      this.addPart(iova + offset, bytes, writable, bytesOver(buffer(offset, bytes)), 0)
    }
  }

  /**
   * Maps the `size` bytes of `bytes` from `origin` on at `iova`. What lies side by side in the same view and on the bus
   * becomes one region, so that a ring may go from one page of an IOMMU to the next. The caller has checked as for add().
   */
  addPart(iova: number, size: number, writable: boolean, bytes: Bytes, origin: number): void {
    const at = this.after(iova)
    let region: Region = { iova, size, bytes, origin, writable }
    let first = at
    let last = at
    if (at > 0 && joined(this.regions[at - 1], region)) {
      const left = this.regions[--first]
      region = { ...left, size: left.size + size }
    }
    if (at < this.regions.length && joined(region, this.regions[at]))
      region = { ...region, size: region.size + this.regions[last++].size }
    this.regions.splice(first, last - first, region)
  }

  /** There is memory here, but the device can't reach it. */
  addUnshared(iova: number, size: number): void {
    this.unshared.push({ iova, size })
  }

  /** Unmaps everything within the range; what was joined is taken apart again. */
  remove(iova: number, size: number): void {
    const end = iova + size
    this.regions = this.regions.flatMap((one) => {
      const oneEnd = one.iova + one.size
      if (one.iova >= end || oneEnd <= iova) return one
      const rest: Region[] = []
      if (one.iova < iova) rest.push({ ...one, size: iova - one.iova })
      if (oneEnd > end)
        rest.push({ ...one, iova: end, size: oneEnd - end, origin: one.origin + end - one.iova })
      return rest
    })
    this.unshared = this.unshared.filter((one) => one.iova < iova || one.iova + one.size > end)
  }

  /** The region that holds `size` bytes at `iova`, or null. */
  find(iova: number, size: number): Region | null {
    const at = this.after(iova)
    if (at === 0) return null
    const region = this.regions[at - 1]
    return iova + size <= region.iova + region.size ? region : null
  }

  /** Index of the first region that starts above `iova`. */
  private after(iova: number): number {
    let low = 0
    let high = this.regions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.regions[middle].iova <= iova) low = middle + 1
      else high = middle
    }
    return low
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

/** True if `right` follows `left` on the bus and in the same buffer. */
function joined(left: Region, right: Region): boolean {
  return (
    left.bytes === right.bytes &&
    left.writable === right.writable &&
    left.iova + left.size === right.iova &&
    left.origin + left.size === right.origin
  )
}
