/** ICMP (RFC 792) and ICMPv6 messages (RFC 4443). */
import { read16, write16 } from './big-endian.ts'
import { addToSum, finishSum, type IpPacket, updateChecksum } from './checksum.ts'
import {
  DEFAULT_TIME_TO_LIVE,
  HEADER_BYTES as IP_HEADER_BYTES,
  IpProtocol,
  type Ipv4Packet,
  isIpv4Host,
} from './ipv4.ts'
import { type PacketBytes, View } from './view.ts'

const TYPE = 0
const CODE = 1
const CHECKSUM = 2
const IDENTIFIER = 4
const SEQUENCE = 6
export const HEADER_BYTES = 8
/** Longest IPv4 packet with an error (RFC 1812 §4.3.2.3). */
const LONGEST_ERROR = 576

/** Types of ICMP messages; those of ICMPv6 are others. */
export const IcmpType = {
  ECHO_REPLY: 0,
  DESTINATION_UNREACHABLE: 3,
  ECHO_REQUEST: 8,
  TIME_EXCEEDED: 11,
  PARAMETER_PROBLEM: 12,
} as const

/** Codes of IcmpType.DESTINATION_UNREACHABLE. */
export const UnreachableCode = { NET: 0, HOST: 1, PROTOCOL: 2, PORT: 3, FRAGMENTATION_NEEDED: 4 } as const

/** A view of an ICMP message. The checksum of ICMPv6 covers addresses, so that its methods want the packet there. */
export class IcmpMessage extends View {
  /** Aims at the payload of an IP packet, all of which is the message. False if it is shorter than a header. */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    return this.aim(u8, offset, length, HEADER_BYTES)
  }

  /** Writes an empty header for a message of `length` bytes (with header) and aims at it. False if that doesn't fit. */
  create(u8: Uint8Array, offset: number, length: number): boolean {
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    u8.fill(0, offset, offset + HEADER_BYTES)
    return true
  }

  /** See `IcmpType`. */
  get type(): number {
    return this.u8[this.offset + TYPE] | 0
  }

  set type(value: number) {
    this.u8[this.offset + TYPE] = value
  }

  get code(): number {
    return this.u8[this.offset + CODE] | 0
  }

  set code(value: number) {
    this.u8[this.offset + CODE] = value
  }

  get checksum(): number {
    return read16(this.u8, this.offset + CHECKSUM)
  }

  set checksum(value: number) {
    write16(this.u8, this.offset + CHECKSUM, value)
  }

  /** Of echo requests and replies; unused in most others. */
  get identifier(): number {
    return read16(this.u8, this.offset + IDENTIFIER)
  }

  set identifier(value: number) {
    write16(this.u8, this.offset + IDENTIFIER, value)
  }

  /** Of echo requests and replies; the next hop's MTU where UnreachableCode.FRAGMENTATION_NEEDED is told (RFC 1191). */
  get sequence(): number {
    return read16(this.u8, this.offset + SEQUENCE)
  }

  set sequence(value: number) {
    write16(this.u8, this.offset + SEQUENCE, value)
  }

  /** Echo data; in messages of errors the beginning of the packet that caused it. */
  get payloadOffset(): number {
    return this.offset + HEADER_BYTES
  }

  get payloadLength(): number {
    return this.length < HEADER_BYTES ? 0 : this.length - HEADER_BYTES
  }

  /** The checksum is right. `ipv6`: the packet that this is the payload of, for ICMPv6. */
  checksumOk(ipv6: IpPacket | null = null): boolean {
    return finishSum(this.sum(ipv6)) === 0
  }

  /** Computes the checksum. */
  fillChecksum(ipv6: IpPacket | null = null): void {
    this.checksum = 0
    this.checksum = finishSum(this.sum(ipv6))
  }

  /** A 16-bit word of the message has changed, as type and code together: mends the checksum (RFC 1624). */
  updateChecksum(before: number, after: number): void {
    this.checksum = updateChecksum(this.checksum, before, after)
  }

  private sum(ipv6: IpPacket | null): number {
    const { u8, offset, length } = this
    const pseudo = ipv6 === null ? 0 : ipv6.sumPseudoHeader(IpProtocol.ICMPV6, length)
    return addToSum(pseudo, u8, offset, length)
  }
}

/** Of a `PacketMemory`, what an ICMP error needs. */
export interface IcmpMemory extends PacketBytes {
  /** Bytes of the longest packet that fits every buffer. */
  readonly longest: number
}

/**
 * Turns packet `id` into an ICMP error about itself, where it lies: from `source` to its own source, with as much of it as 576 bytes
 * hold. `ip` is aimed at the packet, and `icmp` then at the error; the Ethernet header stays as it is.
 *
 * False, and nothing is written, if there must be no error about that packet (RFC 1812 §4.3.2.7: it is an error or a fragment
 * other than the first, or is not from one host to one host). That it has not come by a broadcast of the link is for the caller to know.
 */
export function writeIcmpError(
  memory: IcmpMemory,
  id: number,
  ip: Ipv4Packet,
  icmp: IcmpMessage,
  source: number,
  type: number,
  code: number,
): boolean {
  if (ip.fragmentOffset > 0 || !isIpv4Host(ip.source) || !isIpv4Host(ip.destination)) return false
  if (ip.protocol === IpProtocol.ICMP && !isEcho(ip, icmp)) return false
  const { u8, offset, length, source: target } = ip
  const before = offset - memory.dataOffset(id)
  const headers = IP_HEADER_BYTES + HEADER_BYTES
  const total = Math.min(LONGEST_ERROR, headers + length, memory.longest - before)
  u8.copyWithin(offset + headers, offset, offset + total - headers)
  ip.create(u8, offset, total)
  ip.protocol = IpProtocol.ICMP
  ip.source = source
  ip.destination = target
  ip.fillChecksum()
  icmp.create(u8, ip.payloadOffset, ip.payloadLength)
  icmp.type = type
  icmp.code = code
  icmp.fillChecksum()
  memory.size[id] = before + total
  return true
}

/**
 * Turns an IPv4 packet with an ICMP echo request into the reply, where it lies; `ip` is aimed at it, and `icmp` then as well.
 * False, and nothing is written, if it is no such request, a fragment of one, or damaged.
 */
export function answerEcho(ip: Ipv4Packet, icmp: IcmpMessage): boolean {
  if (ip.protocol !== IpProtocol.ICMP || ip.moreFragments || ip.fragmentOffset > 0 || !ip.checksumOk)
    return false
  if (!icmp.wrap(ip.u8, ip.payloadOffset, ip.payloadLength) || !icmp.checksumOk()) return false
  if (icmp.type !== IcmpType.ECHO_REQUEST) return false
  // Type and code are one word.
  icmp.updateChecksum((IcmpType.ECHO_REQUEST << 8) | icmp.code, (IcmpType.ECHO_REPLY << 8) | icmp.code)
  icmp.type = IcmpType.ECHO_REPLY
  const { source } = ip
  ip.source = ip.destination
  ip.destination = source
  ip.timeToLive = DEFAULT_TIME_TO_LIVE
  ip.fillChecksum()
  return true
}

function isEcho(ip: Ipv4Packet, icmp: IcmpMessage): boolean {
  if (!icmp.wrap(ip.u8, ip.payloadOffset, ip.payloadLength)) return false
  return icmp.type === IcmpType.ECHO_REQUEST || icmp.type === IcmpType.ECHO_REPLY
}
