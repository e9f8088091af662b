/** A number that is the same for all packets of a flow, and in all likelihood another for other flows. */
import { EtherType, HEADER_BYTES, VLAN_TAG_BYTES } from './ethernet.ts'
import { HEADER_BYTES as IPV4_HEADER_BYTES, IpProtocol } from './ipv4.ts'
import { HEADER_BYTES as IPV6_HEADER_BYTES } from './ipv6.ts'

const { IPV4, IPV6, VLAN } = EtherType
const { TCP, UDP } = IpProtocol
const FRAGMENTED = 0x3fff
const SCTP = 132

/**
 * Of the frame of `length` bytes at `start`, which is even: of the addresses and ports of IPv4 and IPv6 (of fragments without ports,
 * so that all of them stay together), of anything else its MAC addresses. 32 bits, signed. `u16` is the same memory as `u8`.
 */
export function hashFrame(u8: Uint8Array, u16: Uint16Array, start: number, length: number): number {
  let at = start + HEADER_BYTES
  let type = (u8[at - 2] << 8) | u8[at - 1]
  if (type === VLAN) {
    at += VLAN_TAG_BYTES
    type = (u8[at - 2] << 8) | u8[at - 1]
  }
  const left = start + length - at
  if (type === IPV4 || type === IPV6) return hashIp(u8, u16, at, left)
  return finish(hashWords(u16, start >> 1, 3, type))
}

/** The same of the IP packet at `at`, which is even, of which `left` bytes are there. 0 if that is no whole header. */
export function hashIp(u8: Uint8Array, u16: Uint16Array, at: number, left: number): number {
  const version = u8[at] >> 4
  if (version === 4 && left >= IPV4_HEADER_BYTES) {
    const headerBytes = (u8[at] & 0xf) << 2
    const whole = (((u8[at + 6] << 8) | u8[at + 7]) & FRAGMENTED) === 0
    const hash = hashWords(u16, (at + 12) >> 1, 2, u8[at + 9])
    return whole ? hashPorts(u16, at + headerBytes, left - headerBytes, u8[at + 9], hash) : finish(hash)
  }
  if (version !== 6 || left < IPV6_HEADER_BYTES) return 0
  const hash = hashWords(u16, (at + 8) >> 1, 8, u8[at + 6])
  return hashPorts(u16, at + IPV6_HEADER_BYTES, left - IPV6_HEADER_BYTES, u8[at + 6], hash)
}

function hashPorts(u16: Uint16Array, at: number, left: number, protocol: number, hash: number): number {
  if (left < 4 || (protocol !== TCP && protocol !== UDP && protocol !== SCTP)) return finish(hash)
  return finish(hashWords(u16, at >> 1, 1, hash))
}

/** FNV-1a by 32-bit words, turned round before each multiplication, as that carries differences towards the upper bits only. */
function hashWords(u16: Uint16Array, from: number, words: number, seed: number): number {
  let hash = seed ^ 0x811c9dc5
  for (let i = 0; i < words; i++) {
    const sum = hash ^ u16[from + 2 * i] ^ (u16[from + 2 * i + 1] << 16)
    hash = Math.imul((sum << 15) | (sum >>> 17), 0x01000193)
  }
  return hash
}

/** Spreads the differences over all bits (as MurmurHash3's end does). */
function finish(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b | 0)
  return once ^ (once >>> 13)
}
