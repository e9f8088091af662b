/**
 * A large packet of TCP or UDP, as Linux's TSO and USO and virtio have it, cut into packets that fit the wire:
 *
 *     ┌──────────┬────┬─────┬───────────┬───────────┬──────┐
 *     │ Ethernet │ IP │ TCP │ segment   │ segment   │ rest │         lengths, pseudo header: of the whole
 *     └──────────┴────┴─────┴───────────┴───────────┴──────┘
 *                ▲    ▲     ▲ headerBytes
 *                │    checksumStart
 *                behind VLAN tags, if there are any
 *
 * Each gets a copy of the headers with its own lengths, IPv4 identification (counted up) and header checksum, sequence
 * number and flags; of UDP, with its own length. The checksum of TCP or UDP stays open: its field has the sum of the packet's own pseudo header.
 */
import { read16, read32, write16, write32 } from './big-endian.ts'
import { internetChecksum } from './checksum.ts'
import { EtherType, HEADER_BYTES, TYPE, VLAN_TAG_BYTES } from './ethernet.ts'
import { IpProtocol } from './ipv4.ts'
import { TcpFlag } from './tcp.ts'

const TCP_BYTES = 20
export const MOST_TCP_HEADER = 60
/** UDP's header, and where it has its length and its checksum. */
const UDP_BYTES = 8
const UDP_LENGTH = 4
export const UDP_CHECKSUM = 6
const TCP_SEQUENCE = 4
const TCP_FLAGS = 13
/** Where TCP has its checksum: bytes from the begin of its header. */
export const TCP_CHECKSUM = 16
/** The end of the data: only the last packet has them. */
const LAST = TcpFlag.FIN | TcpFlag.PSH
/** Of the headers, without options. */
export const IPV4_HEADER = 20
const IPV6_HEADER = 40
/** IPv6 extension headers that may stand in front of TCP (RFC 8200 §4.1). */
const HOP_BY_HOP = 0
const ROUTING = 43
const DESTINATION = 60

/**
 * Bytes from the frame's first, at `offset`, to its IP header, behind VLAN tags if there are any; -1 if there is no IP header
 * in its `length` bytes.
 */
export function networkStart(u8: Uint8Array, offset: number, length: number): number {
  let start = HEADER_BYTES
  let type = read16(u8, offset + TYPE)
  while ((type === EtherType.VLAN || type === EtherType.SERVICE_VLAN) && start + VLAN_TAG_BYTES <= length) {
    start += VLAN_TAG_BYTES
    type = read16(u8, offset + start - 2)
  }
  if (type === EtherType.IPV4) return start + IPV4_HEADER <= length ? start : -1
  return type === EtherType.IPV6 && start + IPV6_HEADER <= length ? start : -1
}

/** A view of a large packet; aim() first. */
export class Segmentation {
  /** Packets that come of it. */
  count = 0
  private u8: Uint8Array = new Uint8Array(0)
  /** Of the frame, in `u8`. */
  private offset = 0
  private length = 0
  private network = 0
  private v4 = false
  private udp = false
  private checksumStart = 0
  private headerBytes = 0
  private segment = 0

  /**
   * Aims at the frame of `length` bytes at `u8[offset…]`; the others as in PacketOffloads. False, with a count of 0, if it isn't
   * TCP, or what `protocol` says, in one IP header with its header where they say, or has nothing to be cut.
   */
  aim(
    u8: Uint8Array,
    offset: number,
    length: number,
    checksumStart: number,
    headerBytes: number,
    segment: number,
    protocol: number = IpProtocol.TCP,
  ): boolean {
    this.count = 0
    const network = networkStart(u8, offset, length)
    const least = protocol === IpProtocol.UDP ? UDP_BYTES : TCP_BYTES
    if (network < 0 || segment < 1 || headerBytes < checksumStart + least || headerBytes >= length)
      return false
    this.udp = protocol === IpProtocol.UDP
    this.v4 = u8[offset + network] >> 4 === 4
    const transport = this.v4
      ? transportOfIpv4(u8, offset + network, protocol)
      : transportOfIpv6(u8, offset + network, offset + checksumStart, protocol)
    if (transport !== offset + checksumStart) return false
    this.u8 = u8
    this.offset = offset
    this.length = length
    this.network = network
    this.checksumStart = checksumStart
    this.headerBytes = headerBytes
    this.segment = segment
    this.count = Math.ceil((length - headerBytes) / segment)
    return true
  }

  /** Where in `u8` the payload of packet `k` is. */
  payloadOffset(k: number): number {
    return this.offset + this.headerBytes + k * this.segment
  }

  /** How many bytes that are. */
  payloadLength(k: number): number {
    return Math.min(this.segment, this.length - this.headerBytes - k * this.segment)
  }

  /** Bytes of packet `k` and all behind it, each with its headers. */
  bytesFrom(k: number): number {
    const { count, headerBytes, length, segment } = this
    return (count - k) * headerBytes + length - headerBytes - k * segment
  }

  /** Writes the `headerBytes` of headers of packet `k` to `target[at…]`. Its checksum is still open. */
  writeHeaders(k: number, target: Uint8Array, at: number): void {
    const { u8, offset, headerBytes, count, segment } = this
    for (let i = 0; i < headerBytes; i++) target[at + i] = u8[offset + i]
    const ip = at + this.network
    const tcp = at + this.checksumStart
    const transport = headerBytes - this.checksumStart + this.payloadLength(k)
    if (this.v4) {
      write16(target, ip + 2, tcp - ip + transport)
      write16(target, ip + 4, read16(target, ip + 4) + k)
      write16(target, ip + 10, 0)
      write16(target, ip + 10, internetChecksum(target, ip, tcp - ip))
    } else write16(target, ip + 4, tcp - ip - IPV6_HEADER + transport)
    const field = tcp + (this.udp ? UDP_CHECKSUM : TCP_CHECKSUM)
    write16(target, field, exchange(read16(target, field), this.length - this.checksumStart, transport))
    if (this.udp) {
      write16(target, tcp + UDP_LENGTH, transport)
      return
    }
    write32(target, tcp + TCP_SEQUENCE, read32(target, tcp + TCP_SEQUENCE) + k * segment)
    if (k < count - 1) target[tcp + TCP_FLAGS] &= ~LAST
    // The sender has slowed down, which it says once (RFC 3168 §6.1.2).
    if (k > 0) target[tcp + TCP_FLAGS] &= ~TcpFlag.CWR
  }

  /**
   * Writes all of packet `k` to `target[at…]`, which may be the same memory but not the same place; returns its length.
   * Allocates if `target` is another array than the frame's.
   */
  write(k: number, target: Uint8Array, at: number): number {
    const from = this.payloadOffset(k)
    const length = this.payloadLength(k)
    this.writeHeaders(k, target, at)
    if (target === this.u8) target.copyWithin(at + this.headerBytes, from, from + length)
    else target.set(this.u8.subarray(from, from + length), at + this.headerBytes)
    return this.headerBytes + length
  }
}

/** A sum of 16-bit words, in which the word `after` takes the place of `before`. Not complemented, 16 bits. */
export function exchange(sum: number, before: number, after: number): number {
  const whole = sum + (~before & 0xffff) + after
  const once = (whole & 0xffff) + (whole >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

/** Where TCP begins in an IPv4 packet, or UDP, -1 if it doesn't carry that `protocol`. */
function transportOfIpv4(u8: Uint8Array, ip: number, protocol: number): number {
  return u8[ip + 9] === protocol ? ip + ((u8[ip] & 0xf) << 2) : -1
}

/** The same for IPv6. `transport`: where it should be; nothing behind is looked at. */
function transportOfIpv6(u8: Uint8Array, ip: number, transport: number, protocol: number): number {
  let next = u8[ip + 6]
  let at = ip + IPV6_HEADER
  while (at < transport && (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION)) {
    next = u8[at]
    at += (u8[at + 1] + 1) << 3
  }
  return next === protocol ? at : -1
}
