/** The frame check sequence of Ethernet (IEEE 802.3 §3.2.9). */
const TABLE = new Uint32Array(256)
for (let i = 0; i < 256; i++) {
  let value = i
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  TABLE[i] = value
}

/** FCS of `length` bytes; its lowest byte is sent first. */
export function crc32(u8: Uint8Array, offset: number, length: number): number {
  let crc = 0xffffffff
  for (let i = offset; i < offset + length; i++) crc = TABLE[(crc ^ u8[i]) & 0xff] ^ (crc >>> 8)
  return ~crc >>> 0
}
