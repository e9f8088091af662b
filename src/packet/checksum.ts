/** The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words. */
import { write16 } from './big-endian.ts'

/** Where UDP has its checksum. */
const UDP_FIELD = 6

/**
 * Sum of `length` bytes at `offset`, added to `sum`, not folded: good for up to 64 KiB of data, which stays below 2^32. An odd last byte counts
 * as the high byte of a word.
 */
export function addToSum(sum: number, memory: Uint8Array, offset: number, length: number): number {
  const end = offset + length
  let i = offset
  for (; i + 1 < end; i += 2) sum += (memory[i] << 8) | memory[i + 1]
  return i < end ? sum + (memory[i] << 8) : sum
}

/** The checksum that belongs to a sum below 2^32: its carries folded in, complemented. 16 bits, to be stored big-endian. */
export function finishSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16)
  return ~(once + (once >>> 16)) & 0xffff
}

/**
 * The Internet checksum of `length` bytes. Over data that contains its own, correct checksum the result is 0.
 */
export function internetChecksum(memory: Uint8Array, offset: number, length: number): number {
  return finishSum(addToSum(0, memory, offset, length))
}

/**
 * Completes the checksum of a TCP or UDP header: `length` bytes from `offset` on, all that it covers but the pseudo header, whose
 * sum its field holds, `field` bytes behind `offset`.
 */
export function completeChecksum(memory: Uint8Array, offset: number, length: number, field: number): void {
  const checksum = internetChecksum(memory, offset, length)
  // UDP's is never 0, which says that there is none (RFC 768).
  write16(memory, offset + field, checksum === 0 && field === UDP_FIELD ? 0xffff : checksum)
}

/**
 * What becomes of `checksum` when one of the 16-bit words that it covers changes from `before` to `after` (RFC 1624,
 * equation 3). A checksum that was wrong stays wrong, so damage on the way is not covered up.
 */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return finishSum((~checksum & 0xffff) + (~before & 0xffff) + after)
}

/** The same for a 32-bit field at an even place, such as an IPv4 address. */
export function updateChecksum32(checksum: number, before: number, after: number): number {
  const high = updateChecksum(checksum, before >>> 16, after >>> 16)
  return updateChecksum(high, before & 0xffff, after & 0xffff)
}

/** A packet of IP, whose addresses the checksums of UDP, TCP and ICMPv6 cover. */
export interface IpPacket {
  /** Sum of the pseudo header of `length` bytes of `protocol`, not folded. */
  sumPseudoHeader(protocol: number, length: number): number
}

/** The same memory as bytes, as 16-bit and as 32-bit words in the machine's byte order. */
export interface Words {
  readonly u8: Uint8Array
  readonly u16: Uint16Array
  readonly i32: Int32Array
}

/** Views over memory that begins and ends at a multiple of 4. */
export function wordsOver(u8: Uint8Array): Words {
  const { buffer, byteOffset, length } = u8
  return {
    u8,
    u16: new Uint16Array(buffer, byteOffset, length >> 1),
    i32: new Int32Array(buffer, byteOffset, length >> 2),
  }
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * As addToSum() from 0 and folded to 16 bits, for `offset` even and up to 64 KiB: four bytes at a time, in the machine's byte order, which
 * is turned round at the end (RFC 1071 §2 B).
 */
export function sumWords({ u8, u16, i32 }: Words, offset: number, length: number): number {
  const end = (offset + length) | 0
  let at = offset | 0
  let sum = 0
  if ((at & 2) !== 0 && at + 2 <= end) {
    sum = u16[at >> 1]
    at = (at + 2) | 0
  }
  let word = at >> 2
  const last = end >> 2
  for (; word < last; word++) {
    const two = i32[word]
    sum += (two & 0xffff) + (two >>> 16)
  }
  if (last << 2 > at) at = last << 2
  if (at + 2 <= end) {
    sum += u16[at >> 1]
    at += 2
  }
  if (at < end) sum += LITTLE_ENDIAN ? u8[at] : u8[at] << 8
  sum = (sum & 0xffff) + (sum >>> 16)
  sum = (sum & 0xffff) + (sum >>> 16)
  return LITTLE_ENDIAN ? ((sum & 0xff) << 8) | (sum >>> 8) : sum
}
