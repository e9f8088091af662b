/** Memory that devices read and write by themselves (DMA). Filled in by the arena's allocator below. */

/**
 * One stretch of memory that is contiguous for the process and for the device.
 * With huge pages and physical addresses: one per huge page. Else: one for the whole arena.
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
