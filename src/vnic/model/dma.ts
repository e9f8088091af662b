/**
 * The host memory this device may touch: the part of an IOMMU.
 *
 * The client shares pieces of its memory at I/O virtual addresses (iova). Every DMA goes through find(); an address
 * outside is a fault, counted and reported, never followed. Views handed out are valid until something is removed: whoever
 * keeps one must look it up again then (VirtualCard.invalidate), because the memory behind it may be gone.
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
/** So much of the next one each shows as well: nothing that a device touches at once is longer. */
const OVERLAP = 2 ** 21

/** In the place of a view: memory of the host that it doesn't share. ROMs, or all of a machine's if it was started wrongly. */
const UNSHARED: Bytes = { u8: new Uint8Array(0), u32: new Uint32Array(0) }

export class DmaMap {
  /** DMA attempts outside the map. */
  faults = 0
  private readonly strict: Strict
  /** Sorted by iova, and so by their ends. None overlap, but the chunks of one piece of memory. */
  private readonly regions: Region[] = []

  constructor(strict: Strict) {
    this.strict = strict
  }

  /**
   * Maps `size` bytes at `iova` in several steps, one between two `yield`s: a view of much memory takes milliseconds.
   * `buffer(offset, size)` gives the memory of a part of it. Addresses are below 2^52 and multiples of 4. The caller has
   * checked that nothing overlaps, and calls remove() if it doesn't go on to the end.
   */
  *add(
    iova: number,
    size: number,
    writable: boolean,
    buffer: (offset: number, size: number) => ArrayBufferLike,
  ): Generator<void, void> {
    for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
      const bytes = Math.min(CHUNK_BYTES + OVERLAP, size - offset)
      this.addPart(iova + offset, bytes, writable, bytesOver(buffer(offset, bytes)), 0)
      yield
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
    this.regions.splice(this.after(iova), 0, { iova, size, bytes: UNSHARED, origin: 0, writable: false })
  }

  /** Unmaps everything within the range; what was joined is taken apart again. */
  remove(iova: number, size: number): void {
    const { regions } = this
    const end = iova + size
    const first = this.endingAbove(iova)
    const last = this.after(end - 1)
    if (first >= last) return
    const rest: Region[] = []
    const left = regions[first]
    if (left.iova < iova) rest.push({ ...left, size: iova - left.iova })
    const right = regions[last - 1]
    const beyond = right.iova + right.size - end
    if (beyond > 0) rest.push({ ...right, iova: end, size: beyond, origin: right.origin + end - right.iova })
    regions.splice(first, last - first, ...rest)
  }

  /** The region that holds `size` bytes at `iova`, or null. */
  find(iova: number, size: number): Region | null {
    const at = this.after(iova)
    if (at === 0) return null
    const region = this.regions[at - 1]
    return iova + size <= region.iova + region.size && region.bytes !== UNSHARED ? region : null
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

  /** Index of the first region that ends above `iova`. */
  private endingAbove(iova: number): number {
    let low = 0
    let high = this.regions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const { iova: start, size } = this.regions[middle]
      if (start + size <= iova) low = middle + 1
      else high = middle
    }
    return low
  }

  /** As find, for a DMA that the device is about to do: null is counted as a fault. `what` names it in the report. */
  access(iova: number, size: number, write: boolean, what: string): Region | null {
    const region = this.find(iova, size)
    if (region !== null && (region.writable || !write)) return region
    this.faults++
    const where = this.hides(iova, size)
      ? 'in memory the client has but does not share (QEMU needs memory-backend-memfd with share=on)'
      : 'outside the memory shared with the device'
    this.strict.report('5.2.5', `${what}: DMA ${write ? 'write' : 'read'} ${where}`)
    return null
  }

  /** True if the first memory of the host in the range is not shared. */
  private hides(iova: number, size: number): boolean {
    const at = this.endingAbove(iova)
    if (at === this.regions.length) return false
    const region = this.regions[at]
    return region.iova < iova + size && region.bytes === UNSHARED
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
