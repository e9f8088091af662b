/** ICMP (RFC 792) and ICMPv6 messages (RFC 4443). */
import { read16, write16 } from './big-endian.ts'
import { addToSum, finishSum, type IpPacket, updateChecksum } from './checksum.ts'
import { IpProtocol } from './ipv4.ts'
import { View } from './view.ts'

const TYPE = 0
const CODE = 1
const CHECKSUM = 2
const IDENTIFIER = 4
const SEQUENCE = 6
const HEADER_BYTES = 8

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
