/** Cyclic redundancy checks of 32 bits, least significant bit first. */

/** `polynomial` with its bits reversed. */
function tableOf(polynomial: number): Uint32Array {
  const table = new Uint32Array(256)
  for (let i = 0; i < 256; i++) {
    let value = i
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ polynomial : value >>> 1
    table[i] = value
  }
  return table
}

const ETHERNET = tableOf(0xedb88320)
const CASTAGNOLI = tableOf(0x82f63b78)

function crc(table: Uint32Array, u8: Uint8Array, offset: number, length: number, start: number): number {
  let value = start
  for (let i = offset; i < offset + length; i++) value = table[(value ^ u8[i]) & 0xff] ^ (value >>> 8)
  return value
}

/** Frame check sequence of Ethernet (IEEE 802.3 §3.2.9) over `length` bytes; its lowest byte is sent first. */
export function crc32(u8: Uint8Array, offset: number, length: number): number {
  return ~crc(ETHERNET, u8, offset, length, -1) >>> 0
}

/** CRC32c of SCTP (RFC 9260 appendix A) over `length` bytes; its lowest byte is sent first. */
export function crc32c(u8: Uint8Array, offset: number, length: number): number {
  return ~crc(CASTAGNOLI, u8, offset, length, -1) >>> 0
}

const NOTHING = new Uint8Array(4)

/** As crc32c(), with the four bytes at `hole` taken for zeros: where the packet has its checksum. */
export function crc32cWithout(u8: Uint8Array, offset: number, length: number, hole: number): number {
  const before = crc(CASTAGNOLI, u8, offset, hole - offset, -1)
  const zeros = crc(CASTAGNOLI, NOTHING, 0, 4, before)
  return ~crc(CASTAGNOLI, u8, hole + 4, offset + length - hole - 4, zeros) >>> 0
}
