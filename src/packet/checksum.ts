/** The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words. */

/**
 * Sum of `length` bytes at `offset`, added to `sum`, not folded: good for up to 64 KiB of data. An odd last byte counts
 * as the high byte of a word.
 */
export function addToSum(sum: number, memory: Uint8Array, offset: number, length: number): number {
  const end = offset + length
  let i = offset
  for (; i + 1 < end; i += 2) sum += (memory[i] << 8) | memory[i + 1]
  return i < end ? sum + (memory[i] << 8) : sum
}

/** The checksum that belongs to a sum: its carries folded in, complemented. 16 bits, to be stored big-endian. */
export function finishSum(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return ~folded & 0xffff
}

/**
 * The Internet checksum of `length` bytes. Over data that contains its own, correct checksum the result is 0.
 */
export function internetChecksum(memory: Uint8Array, offset: number, length: number): number {
  return finishSum(addToSum(0, memory, offset, length))
}
