/** From virtual to physical addresses (Documentation/admin-guide/mm/pagemap.rst of Linux). */
import { IxyError } from '../errors.ts'
import { close, O_RDONLY, open, pread } from './file.ts'
import { PAGE_BYTES } from './mapping.ts'

/** An entry has 64 bits: page present (63), page frame number (54–0). */
const ENTRY_BYTES = 8
const PRESENT = 1n << 63n
const FRAME_MASK = (1n << 55n) - 1n

/** The kernel keeps physical addresses from whoever has no CAP_SYS_ADMIN. */
export function hiddenAddresses(): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    'the kernel hides physical addresses from this user (/proc/self/pagemap shows no frame numbers)',
    'run as root (CAP_SYS_ADMIN), or use VFIO with an IOMMU',
  )
}

/**
 * Physical addresses of the pages of `pageBytes` bytes each from `address` on, in order. They stay the same only as
 * long as the kernel doesn't move the pages: huge pages that are locked. Throws IXY_ERR_PERMISSION if the kernel hides
 * them from this user, IXY_ERR_DMA if a page isn't in memory.
 */
export function physicalAddresses(address: bigint, bytes: number, pageBytes: number): number[] {
  const fd = open('/proc/self/pagemap', O_RDONLY)
  try {
    const entry = new BigUint64Array(1)
    const addresses: number[] = []
    for (let offset = 0; offset < bytes; offset += pageBytes) {
      const at = address + BigInt(offset)
      pread(fd, entry, (at / BigInt(PAGE_BYTES)) * BigInt(ENTRY_BYTES))
      const frame = entry[0] & FRAME_MASK
      if ((entry[0] & PRESENT) === 0n)
        throw new IxyError('IXY_ERR_DMA', `the page at 0x${at.toString(16)} is not in memory`)
      if (frame === 0n) throw hiddenAddresses()
      addresses.push(Number(frame) * PAGE_BYTES + Number(at % BigInt(PAGE_BYTES)))
    }
    return addresses
  } finally {
    close(fd)
  }
}
