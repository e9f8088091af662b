/** Whether the checksums of a frame hold. Written without the product's packet code, which is under test. */

const [TCP, UDP, SCTP] = [6, 17, 132]

/** The checksums that are wrong in an untagged Ethernet frame of IPv4 or IPv6 without extension headers. */
export function wrongChecksums(frame: Buffer): string[] {
  const ip = frame.subarray(14)
  const v6 = frame.readUInt16BE(12) === 0x86dd
  const headerLength = v6 ? 40 : ((ip[0] ?? 0) & 15) * 4
  const end = v6 ? 40 + ip.readUInt16BE(4) : ip.readUInt16BE(2)
  const protocol = ip[v6 ? 6 : 9]
  const payload = ip.subarray(headerLength, end)
  const addresses = v6 ? ip.subarray(8, 40) : ip.subarray(12, 20)

  const wrong: string[] = []
  if (!v6 && onesComplement(ip.subarray(0, headerLength)) !== 0xffff) wrong.push('IPv4')
  if (protocol === TCP || protocol === UDP) {
    const pseudo = Buffer.concat([
      addresses,
      Buffer.from([0, protocol, payload.length >> 8, payload.length & 255]),
    ])
    const sum = onesComplement(Buffer.concat([pseudo, payload]))
    if (sum !== 0xffff) wrong.push(protocol === TCP ? 'TCP' : 'UDP')
  }
  if (protocol === SCTP) {
    const zeroed = Buffer.from(payload)
    zeroed.writeUInt32LE(0, 8)
    if (crc32c(zeroed) !== payload.readUInt32LE(8)) wrong.push('SCTP')
  }
  return wrong
}

/** The sum of 16-bit words with the carries added: 0xffff over anything that holds its own checksum (RFC 1071). */
function onesComplement(bytes: Buffer): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i++) sum += (bytes[i] ?? 0) << (i & 1 ? 0 : 8)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

/** RFC 9260, appendix A, bit by bit. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}
