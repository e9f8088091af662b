/** Internet checksums (RFC 1071) over bytes of host memory. */

/** Sum of the 16-bit big-endian words of `length` bytes, an odd last byte padded with zero; not folded. */
export function sumWords(u8: Uint8Array, offset: number, length: number): number {
  let sum = 0
  const even = offset + (length & ~1)
  for (let i = offset; i < even; i += 2) sum += (u8[i] << 8) | u8[i + 1]
  if ((length & 1) === 1) sum += u8[even] << 8
  return sum
}

/** A sum of 16-bit words folded to 16 bits with end-around carry. */
export function fold(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return folded
}

/** Sum of the pseudo header of TCP or UDP: addresses, protocol, length. `l3` is the IP header's offset. */
export function sumPseudoHeader(
  u8: Uint8Array,
  l3: number,
  ipv6: boolean,
  protocol: number,
  length: number,
): number {
  const addresses = ipv6 ? sumWords(u8, l3 + 8, 32) : sumWords(u8, l3 + 12, 8)
  return addresses + protocol + length
}
