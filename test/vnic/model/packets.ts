/** IP packets for tests, with right checksums, written independently of the code under test. */

export function ipv4(text: string): number[] {
  return text.split('.').map(Number)
}

export function ipv6(text: string): number[] {
  const [head, tail = ''] = text.split('::')
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => parseInt(word, 16))
  const [first, last] = [words(head), words(tail)]
  const all = text.includes('::')
    ? [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
    : first
  return all.flatMap((word) => [word >> 8, word & 0xff])
}

/** RFC 1071, by the book. */
export function internetChecksum(bytes: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (bytes[i + 1] ?? 0)
    sum = (sum & 0xffff) + (sum >>> 16)
  }
  return ~sum & 0xffff
}

export function word(value: number): [number, number] {
  return [(value >> 8) & 0xff, value & 0xff]
}

export const ETHERNET = [0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1]

/** TCP or UDP header and payload with its checksum over this pseudo header. */
function segment(
  protocol: number,
  sport: number,
  dport: number,
  payload: number[],
  addresses: number[],
): number[] {
  const tcp = protocol === 6
  const header = tcp
    ? [...word(sport), ...word(dport), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0]
    : [...word(sport), ...word(dport), ...word(8 + payload.length), 0, 0]
  const bytes = [...header, ...payload]
  const checksum = internetChecksum([...addresses, 0, protocol, ...word(bytes.length), ...bytes])
  const at = tcp ? 16 : 6
  bytes.splice(at, 2, ...word(checksum === 0 && !tcp ? 0xffff : checksum))
  return bytes
}

function packet4(
  protocol: number,
  from: string,
  sport: number,
  to: string,
  dport: number,
  payload: number[],
): Uint8Array {
  const addresses = [...ipv4(from), ...ipv4(to)]
  const body = segment(protocol, sport, dport, payload, addresses)
  const header = [0x45, 0, ...word(20 + body.length), 0, 1, 0, 0, 64, protocol, 0, 0, ...addresses]
  header.splice(10, 2, ...word(internetChecksum(header)))
  return pad([...ETHERNET, 0x08, 0x00, ...header, ...body])
}

function pad(bytes: number[]): Uint8Array {
  while (bytes.length < 60) bytes.push(0)
  return Uint8Array.from(bytes)
}

export function counting(length: number): number[] {
  return Array.from({ length }, (_, i) => (i * 7) & 0xff)
}

export function tcp4(
  from: string,
  sport: number,
  to: string,
  dport: number,
  payload = counting(20),
): Uint8Array {
  return packet4(6, from, sport, to, dport, payload)
}

export function udp4(
  from: string,
  sport: number,
  to: string,
  dport: number,
  payload = counting(21),
): Uint8Array {
  return packet4(17, from, sport, to, dport, payload)
}

export function tcp6(
  from: string,
  sport: number,
  to: string,
  dport: number,
  payload = counting(20),
): Uint8Array {
  const addresses = [...ipv6(from), ...ipv6(to)]
  const body = segment(6, sport, dport, payload, addresses)
  const header = [0x60, 0, 0, 0, ...word(body.length), 6, 64, ...addresses]
  return pad([...ETHERNET, 0x86, 0xdd, ...header, ...body])
}

/** CRC32c bit by bit, as polynomial division does it (RFC 9260 appendix A). */
export function crc32c(bytes: readonly number[]): number {
  let crc = 0xffffffff
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const out = (crc ^ (byte >> bit)) & 1
      crc = (crc >>> 1) ^ (out === 1 ? 0x82f63b78 : 0)
    }
  return ~crc >>> 0
}

/** SCTP with one DATA chunk of `payload`. */
function sctp(payload: number[]): number[] {
  const chunk = [0, 3, ...word(16 + payload.length), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, ...payload]
  while (chunk.length % 4 !== 0) chunk.push(0)
  const bytes = [...word(5000), ...word(6000), 1, 2, 3, 4, 0, 0, 0, 0, ...chunk]
  const crc = crc32c(bytes)
  bytes.splice(8, 4, crc & 0xff, (crc >>> 8) & 0xff, (crc >>> 16) & 0xff, crc >>> 24)
  return bytes
}

export function sctp4(payload = counting(30)): Uint8Array {
  const body = sctp(payload)
  const header = [0x45, 0, ...word(20 + body.length), 0, 1, 0, 0, 64, 132, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
  header.splice(10, 2, ...word(internetChecksum(header)))
  return pad([...ETHERNET, 0x08, 0x00, ...header, ...body])
}

export function sctp6(payload = counting(30)): Uint8Array {
  const body = sctp(payload)
  const header = [0x60, 0, 0, 0, ...word(body.length), 132, 64, ...ipv6('fe80::1'), ...ipv6('fe80::2')]
  return pad([...ETHERNET, 0x86, 0xdd, ...header, ...body])
}
