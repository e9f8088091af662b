/** Memory that devices read and write by themselves (DMA). */
import { IxyError } from '../errors.ts'
import { type HugepageBlock, allocateHugepages, allocateShared, releaseBlock } from '../linux/hugepages.ts'
import { physicalAddresses } from '../linux/pagemap.ts'
import type { PacketMemorySpec } from './packets.ts'
import type { ArenaFile } from './wasm-space.ts'

/**
 * One stretch of memory that is contiguous for the process and for the device.
 * With physical addresses: one per huge page. Else: one for the whole arena.
 */
export interface DmaSegment {
  /** Virtual address in this process. */
  readonly address: bigint
  /** I/O virtual address: what the device is told. Below 2^52. */
  readonly iova: number
  readonly bytes: number
  /** The file behind it (hugetlbfs or memfd), shared with a vfio-user server; `fdOffset` is where the segment starts in it. */
  readonly fd: number
  readonly fdOffset: number
}

/** A part of a segment. */
export interface DmaBlock {
  readonly address: bigint
  readonly iova: number
  readonly bytes: number
}

/** Rings must be 128-byte aligned (82599 §8.2.3.8.1); a cache line or two apart is enough for everything else. */
const ALIGNMENT = 128

/** Bytes that may stay free between two pieces of an arena: what takes them asks for so much more. */
export const GAP = ALIGNMENT

/**
 * Where the arena starts for devices that see addresses of our choice (IOMMU, vfio-user). Above 4 GiB, so that the
 * upper halves of all addresses matter in every run; below 2^39, the least any IOMMU can translate.
 */
const CHOSEN_IOVA = 2 ** 32

/**
 * All DMA memory of a run: one mapping, visible to all of its devices at the same IOVAs, given away piece by piece and
 * freed as a whole.
 */
export class DmaArena {
  readonly segments: readonly DmaSegment[]
  private readonly block: HugepageBlock
  /** Bytes up to which device addresses are contiguous. */
  private readonly pageBytes: number
  private taken = 0
  private closed = false

  /**
   * Allocates at least `bytes` of zeroed, locked memory. `physical`: devices without IOMMU will use it, so it must be
   * in huge pages whose physical addresses root may look up. Throws IXY_ERR_NO_HUGEPAGES, _PERMISSION or _MEMLOCK.
   */
  constructor(bytes: number, physical: boolean) {
    this.block = physical ? allocateHugepages(bytes) : allocateShared(bytes)
    const { address, fd } = this.block
    if (!physical) {
      this.pageBytes = this.block.bytes
      this.segments = [{ address, iova: CHOSEN_IOVA, bytes: this.block.bytes, fd, fdOffset: 0 }]
      return
    }
    this.pageBytes = this.block.pageBytes
    const frames = physicalAddresses(address, this.block.bytes, this.pageBytes)
    this.segments = frames.map((iova, page) => {
      const fdOffset = page * this.pageBytes
      return { address: address + BigInt(fdOffset), iova, bytes: this.pageBytes, fd, fdOffset }
    })
  }

  /** For a thread that maps it once more. */
  get file(): ArenaFile {
    const { address, bytes, pageBytes, fd } = this.block
    return { address, bytes, pageBytes, fd }
  }

  /** Gives away memory that is contiguous for the device as well: no more than a page, where it sees physical addresses. */
  take(bytes: number): DmaBlock {
    const left = this.pageBytes - (this.taken % this.pageBytes)
    if (bytes > left) this.advance(left)
    const offset = this.advance(bytes)
    const page = Math.floor(offset / this.pageBytes)
    const segment = this.segments[page]
    const inside = offset - page * this.pageBytes
    return { address: segment.address + BigInt(inside), iova: segment.iova + inside, bytes }
  }

  /** Gives away memory for this process, whose threads all see it: contiguous for nobody else. Returns its address. */
  takeForProcess(bytes: number): bigint {
    return this.block.address + BigInt(this.advance(bytes))
  }

  /** Gives away packet buffers: contiguous for the process, no buffer across a page. */
  takePackets(bufferShift: number, poolShift: number, pools: number): PacketMemorySpec {
    const bytes = (pools << poolShift) << bufferShift
    const misaligned = this.taken % (1 << bufferShift)
    if (misaligned !== 0) this.advance((1 << bufferShift) - misaligned)
    const offset = this.advance(bytes)
    const first = Math.floor(offset / this.pageBytes)
    const last = Math.floor((offset + bytes - 1) / this.pageBytes)
    return {
      address: this.block.address + BigInt(offset),
      pageIovas: Float64Array.from(this.segments.slice(first, last + 1), (segment) => segment.iova),
      pageBytes: this.pageBytes,
      pageOffset: offset - first * this.pageBytes,
      bufferShift,
      poolShift,
      pools,
    }
  }

  /** Unmaps everything. No device may be able to reach the memory any more, and no view of it may be used again. */
  close(): void {
    if (this.closed) return
    this.closed = true
    releaseBlock(this.block)
  }

  private advance(bytes: number): number {
    const offset = this.taken
    this.taken = Math.ceil((offset + bytes) / ALIGNMENT) * ALIGNMENT
    if (this.taken > this.block.bytes) {
      throw new IxyError('IXY_ERR_INTERNAL', `DMA arena of ${this.block.bytes} bytes is too small`)
    }
    return offset
  }
}
