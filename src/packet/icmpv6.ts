/** ICMPv6 (RFC 4443) as the answers of a host: echo replies and "packet too big", each made of the packet that it answers. */
import { write16 } from './big-endian.ts'
import type { IcmpMemory, IcmpMessage } from './icmp.ts'
import { IpProtocol } from './ipv4.ts'
import { IPV6_BYTES, type Ipv6Packet } from './ipv6.ts'

const IP_HEADER_BYTES = 40
const HEADER_BYTES = 8
/** Longest IPv6 packet with an error (§2.4 c): every link carries it. */
const LONGEST_ERROR = 1280
const HOP_LIMIT = 64
/** Types below are errors. */
const FIRST_INFORMATIONAL = 128
const MTU = 4
const address = new Uint8Array(2 * IPV6_BYTES)

/** Types of ICMPv6 messages. */
export const Icmpv6Type = {
  PACKET_TOO_BIG: 2,
  ECHO_REQUEST: 128,
  ECHO_REPLY: 129,
  NEIGHBOUR_SOLICITATION: 135,
  NEIGHBOUR_ADVERTISEMENT: 136,
} as const

/**
 * Turns packet `id` into "packet too big" about itself, where it lies: from `source` (16 bytes) to its own source, with as much
 * of it as 1280 bytes hold. `ip` is aimed at the packet, and `icmp` then at the error; the Ethernet header stays as it is.
 *
 * False, and nothing is written, if there must be no error about that packet (§2.4 e): it is an error itself, or from a group.
 */
export function writePacketTooBig(
  memory: IcmpMemory,
  id: number,
  ip: Ipv6Packet,
  icmp: IcmpMessage,
  source: Uint8Array,
  mtu: number,
): boolean {
  const { u8, offset, length } = ip
  ip.copySource(address)
  if (address[0] === 0xff || address.subarray(0, IPV6_BYTES).every((byte) => byte === 0)) return false
  const isError = ip.nextHeader === IpProtocol.ICMPV6 && u8[ip.payloadOffset] < FIRST_INFORMATIONAL
  if (isError || ip.payloadLength === 0) return false
  const before = offset - memory.dataOffset(id)
  const headers = IP_HEADER_BYTES + HEADER_BYTES
  const total = Math.min(LONGEST_ERROR, headers + length, memory.longest - before)
  u8.copyWithin(offset + headers, offset, offset + total - headers)
  ip.create(u8, offset, total)
  ip.nextHeader = IpProtocol.ICMPV6
  ip.setSource(source)
  ip.setDestination(address)
  icmp.create(u8, ip.payloadOffset, ip.payloadLength)
  icmp.type = Icmpv6Type.PACKET_TOO_BIG
  // 32 bits, of which the upper 16 are 0 for all links there are.
  write16(u8, icmp.offset + MTU + 2, mtu)
  icmp.fillChecksum(ip)
  memory.size[id] = before + total
  return true
}

/**
 * Turns an IPv6 packet with an echo request into the reply, where it lies; `ip` is aimed at it, and `icmp` then as well. False,
 * and nothing is written, if it is no such request, or damaged.
 */
export function answerEcho6(ip: Ipv6Packet, icmp: IcmpMessage): boolean {
  if (ip.nextHeader !== IpProtocol.ICMPV6) return false
  if (!icmp.wrap(ip.u8, ip.payloadOffset, ip.payloadLength) || !icmp.checksumOk(ip)) return false
  if (icmp.type !== Icmpv6Type.ECHO_REQUEST) return false
  icmp.updateChecksum((Icmpv6Type.ECHO_REQUEST << 8) | icmp.code, (Icmpv6Type.ECHO_REPLY << 8) | icmp.code)
  icmp.type = Icmpv6Type.ECHO_REPLY
  // The sum of the addresses is the same the other way round.
  ip.copySource(address)
  ip.copyDestination(address, IPV6_BYTES)
  ip.setDestination(address)
  ip.setSource(address, IPV6_BYTES)
  ip.hopLimit = HOP_LIMIT
  return true
}
