/** struct virtio_net_hdr as the kernel writes and reads it at a TAP: in the byte order of the machine, little-endian. */
import { HEADER_BYTES } from './layout.ts'

/** Bits of the flags. */
export const NEEDS_CHECKSUM = 1
export const CHECKSUM_IS_GOOD = 2

/** How it is to be cut. The topmost bit says that TCP's ECN is in use. */
export const GSO_NONE = 0
export const GSO_TCP4 = 1
export const GSO_TCP6 = 4
export const GSO_UDP = 5
export const GSO_MASK = 0x7f

const FLAGS = 0
const GSO = 1
const HEADERS = 2
const SEGMENT = 4
const CHECKSUM_START = 6
const CHECKSUM_OFFSET = 8

/** The header in front of the frame at `at` in `bytes`. */
export class NetHeader {
  flags = 0
  gso = 0
  segment = 0
  checksumStart = 0
  checksumOffset = 0

  read(bytes: Uint8Array, at: number): void {
    const header = at - HEADER_BYTES
    this.flags = bytes[header + FLAGS]
    this.gso = bytes[header + GSO] & GSO_MASK
    this.segment = bytes[header + SEGMENT] | (bytes[header + SEGMENT + 1] << 8)
    this.checksumStart = bytes[header + CHECKSUM_START] | (bytes[header + CHECKSUM_START + 1] << 8)
    this.checksumOffset = bytes[header + CHECKSUM_OFFSET] | (bytes[header + CHECKSUM_OFFSET + 1] << 8)
  }

  /** The checksum that is left open, if one is, is in the frame's `length` bytes. */
  fits(length: number): boolean {
    return (this.flags & NEEDS_CHECKSUM) === 0 || this.checksumStart + this.checksumOffset + 2 <= length
  }
}

/** Writes a header. `headers`: bytes of all headers, of a frame that is to be cut. */
export function writeNetHeader(
  bytes: Uint8Array,
  at: number,
  flags: number,
  gso: number,
  headers: number,
  segment: number,
  checksumStart: number,
  checksumOffset: number,
): void {
  const header = at - HEADER_BYTES
  bytes[header + FLAGS] = flags
  bytes[header + GSO] = gso
  bytes[header + HEADERS] = headers
  bytes[header + HEADERS + 1] = headers >> 8
  bytes[header + SEGMENT] = segment
  bytes[header + SEGMENT + 1] = segment >> 8
  bytes[header + CHECKSUM_START] = checksumStart
  bytes[header + CHECKSUM_START + 1] = checksumStart >> 8
  bytes[header + CHECKSUM_OFFSET] = checksumOffset
  bytes[header + CHECKSUM_OFFSET + 1] = checksumOffset >> 8
}
