/** IPv4 packets (RFC 791) and addresses. */
import { IxyError } from '../errors.ts'
import { read16, read32, write16, write32 } from './big-endian.ts'
import { addToSum, internetChecksum, type IpPacket, updateChecksum, updateChecksum32 } from './checksum.ts'
import { View } from './view.ts'

const VERSION_AND_HEADER_LENGTH = 0
/** DSCP (6 bits), ECN (2). */
const TRAFFIC_CLASS = 1
const TOTAL_LENGTH = 2
const IDENTIFICATION = 4
/** Reserved, don't fragment, more fragments; then 13 bits of offset in units of 8 bytes. */
const FRAGMENT = 6
const TIME_TO_LIVE = 8
const PROTOCOL = 9
const CHECKSUM = 10
const SOURCE = 12
const DESTINATION = 16
/** Header without options. */
export const HEADER_BYTES = 20
const MAX_PACKET_BYTES = 0xffff
const VERSION_4_NO_OPTIONS = (4 << 4) | (HEADER_BYTES >> 2)
const DONT_FRAGMENT = 0x4000
const MORE_FRAGMENTS = 0x2000
const FRAGMENT_OFFSET = 0x1fff
/** As the assigned numbers have it. */
export const DEFAULT_TIME_TO_LIVE = 64

/** What is in a packet of IPv4 or IPv6, as IANA numbers it. */
export const IpProtocol = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const

/**
 * A view of an IPv4 packet. Addresses are signed 32-bit numbers, see `parseIpv4()`. The header's checksum follows by itself
 * in `decrementTimeToLive()` only: whoever sets other fields calls `fillChecksum()`, or `updateChecksum()` for each.
 */
export class Ipv4Packet extends View implements IpPacket {
  /** Header with options. */
  headerBytes = 0

  /**
   * Aims at the payload of a frame, which may be longer than the packet (padding): `length` is the packet's afterwards.
   * False if that is no IPv4 packet: another version, a header length or total length that can't be. The checksum is not
   * looked at, see `checksumOk`.
   */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    this.headerBytes = 0
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    const first = u8[offset + VERSION_AND_HEADER_LENGTH]
    const headerBytes = (first & 0xf) << 2
    const totalLength = read16(u8, offset + TOTAL_LENGTH)
    if (first >> 4 !== 4 || headerBytes < HEADER_BYTES || headerBytes > totalLength || totalLength > length)
      return this.miss()
    this.headerBytes = headerBytes
    this.length = totalLength
    return true
  }

  /**
   * Writes a header without options for a packet of `length` bytes (with header) and aims at it: TTL 64, all else 0, also
   * the checksum. False, and nothing written, if the memory or `length` is too short, or `length` over 65535.
   */
  create(u8: Uint8Array, offset: number, length: number): boolean {
    this.headerBytes = 0
    if (length > MAX_PACKET_BYTES) return this.miss()
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    this.headerBytes = HEADER_BYTES
    u8.fill(0, offset, offset + HEADER_BYTES)
    u8[offset + VERSION_AND_HEADER_LENGTH] = VERSION_4_NO_OPTIONS
    write16(u8, offset + TOTAL_LENGTH, length)
    u8[offset + TIME_TO_LIVE] = DEFAULT_TIME_TO_LIVE
    return true
  }

  /** DSCP and ECN, 8 bits. */
  get trafficClass(): number {
    return this.byte(TRAFFIC_CLASS)
  }

  set trafficClass(value: number) {
    this.u8[this.offset + TRAFFIC_CLASS] = value
  }

  get identification(): number {
    return read16(this.u8, this.offset + IDENTIFICATION)
  }

  set identification(value: number) {
    write16(this.u8, this.offset + IDENTIFICATION, value)
  }

  get dontFragment(): boolean {
    return (read16(this.u8, this.offset + FRAGMENT) & DONT_FRAGMENT) !== 0
  }

  set dontFragment(value: boolean) {
    this.replaceFragment(DONT_FRAGMENT, value ? DONT_FRAGMENT : 0)
  }

  get moreFragments(): boolean {
    return (read16(this.u8, this.offset + FRAGMENT) & MORE_FRAGMENTS) !== 0
  }

  set moreFragments(value: boolean) {
    this.replaceFragment(MORE_FRAGMENTS, value ? MORE_FRAGMENTS : 0)
  }

  /** Bytes, a multiple of 8. Fragments but the first have no header of UDP, TCP or ICMP. */
  get fragmentOffset(): number {
    return (read16(this.u8, this.offset + FRAGMENT) & FRAGMENT_OFFSET) << 3
  }

  set fragmentOffset(bytes: number) {
    this.replaceFragment(FRAGMENT_OFFSET, bytes >> 3)
  }

  get timeToLive(): number {
    return this.byte(TIME_TO_LIVE)
  }

  set timeToLive(value: number) {
    this.u8[this.offset + TIME_TO_LIVE] = value
  }

  /** See `IpProtocol`. */
  get protocol(): number {
    return this.byte(PROTOCOL)
  }

  set protocol(value: number) {
    this.u8[this.offset + PROTOCOL] = value
  }

  get checksum(): number {
    return read16(this.u8, this.offset + CHECKSUM)
  }

  set checksum(value: number) {
    write16(this.u8, this.offset + CHECKSUM, value)
  }

  get source(): number {
    return read32(this.u8, this.offset + SOURCE)
  }

  set source(address: number) {
    write32(this.u8, this.offset + SOURCE, address)
  }

  get destination(): number {
    return read32(this.u8, this.offset + DESTINATION)
  }

  set destination(address: number) {
    write32(this.u8, this.offset + DESTINATION, address)
  }

  /** Where the payload starts in `u8`, behind any options. */
  get payloadOffset(): number {
    return this.offset + this.headerBytes
  }

  get payloadLength(): number {
    return this.length - this.headerBytes
  }

  /** The header's checksum is right. */
  get checksumOk(): boolean {
    return internetChecksum(this.u8, this.offset, this.headerBytes) === 0
  }

  /** Computes the header's checksum. */
  fillChecksum(): void {
    this.checksum = 0
    this.checksum = internetChecksum(this.u8, this.offset, this.headerBytes)
  }

  /** A 16-bit word of the header has changed: mends the checksum (RFC 1624). */
  updateChecksum(before: number, after: number): void {
    this.checksum = updateChecksum(this.checksum, before, after)
  }

  /** An address has changed: mends the checksum. Those of UDP and TCP cover it, too. */
  updateChecksum32(before: number, after: number): void {
    this.checksum = updateChecksum32(this.checksum, before, after)
  }

  /** One hop fewer, with the checksum. Not for a packet whose time to live is 0. */
  decrementTimeToLive(): void {
    const before = read16(this.u8, this.offset + TIME_TO_LIVE)
    const after = (before - 0x100) & 0xffff
    write16(this.u8, this.offset + TIME_TO_LIVE, after)
    this.updateChecksum(before, after)
  }

  sumPseudoHeader(protocol: number, length: number): number {
    return addToSum(protocol + length, this.u8, this.offset + SOURCE, 8)
  }

  /** A field may be gone: the view is aimed at nothing. */
  private byte(at: number): number {
    return this.u8[this.offset + at] | 0
  }

  private replaceFragment(mask: number, bits: number): void {
    const at = this.offset + FRAGMENT
    write16(this.u8, at, (read16(this.u8, at) & ~mask) | (bits & mask))
  }
}

/**
 * `10.0.0.1` as a 32-bit number, 0x0a000001: signed, as V8 keeps larger ones on the heap. Throws IXY_ERR_USAGE for anything else.
 */
export function parseIpv4(text: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number)
  if (parts === undefined || parts.some((part) => part > 255))
    throw new IxyError(
      'IXY_ERR_USAGE',
      `'${text}' is not an IPv4 address`,
      'write four numbers up to 255 as in 10.0.0.1',
    )
  return parts.reduce((address, part) => (address << 8) | part, 0)
}

/** A 32-bit number, signed or not, as `10.0.0.1`. */
export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')
}

/** `10.0.1.1/24` in parts: an address is within if `(address & mask) === network`. */
export interface Ipv4Prefix {
  readonly address: number
  readonly network: number
  readonly mask: number
}

/** An address with the length of its prefix, 0 to 32. Throws IXY_ERR_USAGE for anything else. */
export function parseIpv4Prefix(text: string): Ipv4Prefix {
  const [, address, digits] = /^([^/]*)\/(\d{1,2})$/.exec(text) ?? []
  const bits = Number(digits)
  if (address === undefined || bits > 32)
    throw new IxyError(
      'IXY_ERR_USAGE',
      `'${text}' is no address with its prefix`,
      'write it as in 10.0.1.1/24',
    )
  // Shifting by 32 would be shifting by 0.
  const mask = bits === 0 ? 0 : -1 << (32 - bits)
  return { address: parseIpv4(address), network: parseIpv4(address) & mask, mask }
}

/** May be the address of one host: not of 0.0.0.0/8 or 127.0.0.0/8, no group, not reserved (RFC 1812 §5.3.7). */
export function isIpv4Host(address: number): boolean {
  const first = address >>> 24
  return first > 0 && first < 224 && first !== 127
}
