/**
 * What the receive path's parser finds in a frame (82599 §7.1.3): packet type, addresses for RSS, checksum places.
 * One object is reused for every packet.
 */

import * as V from './rx-verdict.ts'

/** Packet type bits as they appear in word 0 of the write-back descriptor (82599 §7.1.6.2). */
export const PacketType = {
  IPV4: V.TYPE_IPV4,
  IPV4_EXTENSIONS: 1 << 5,
  IPV6: V.TYPE_IPV6,
  IPV6_EXTENSIONS: 1 << 7,
  TCP: V.TYPE_TCP,
  UDP: V.TYPE_UDP,
  SCTP: 1 << 10,
} as const

const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_IPV6 = 0x86dd
const TCP = 6
const UDP = 17
const SCTP = 132

/** IPv6 extension headers the parser steps over: hop-by-hop, routing, destination options. */
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION = 60

export class PacketInfo {
  /** `PacketType` bits. */
  type = 0
  /** The tag, if the frame has one of the EtherType given to parse(); else -1. */
  vlan = -1
  /** Behind the VLAN tag, if there is one; of an IEEE 802.3 frame it is a length. */
  etherType = 0
  /** Offsets from the frame's first byte; 0 if there is no such header. */
  l3 = 0
  l4 = 0
  /** Of the IP header, if it is one of IPv4. Whoever needs it takes this: the frame itself may say something else by now. */
  headerBytes = 0
  /** Where the IP packet ends, padding excluded. */
  end = 0
  fragment = false

  /** `vlanType`: EtherType of a VLAN tag (VLNCTRL.VET). */
  parse(u8: Uint8Array, offset: number, length: number, vlanType: number): void {
    this.type = 0
    this.vlan = -1
    this.l3 = 0
    this.l4 = 0
    this.headerBytes = 0
    this.end = 0
    this.fragment = false
    let at = 12
    let etherType = (u8[offset + 12] << 8) | u8[offset + 13]
    if (etherType === vlanType && length >= 18) {
      this.vlan = (u8[offset + 14] << 8) | u8[offset + 15]
      at = 16
      etherType = (u8[offset + 16] << 8) | u8[offset + 17]
    }
    at += 2
    this.etherType = etherType
    if (etherType === ETHERTYPE_IPV4) this.parseIpv4(u8, offset, at, length)
    else if (etherType === ETHERTYPE_IPV6) this.parseIpv6(u8, offset, at, length)
  }

  private parseIpv4(u8: Uint8Array, offset: number, at: number, length: number): void {
    if (length < at + 20) return
    const first = u8[offset + at]
    const headerBytes = (first & 0xf) << 2
    if (first >> 4 !== 4 || headerBytes < 20) return
    const end = at + ((u8[offset + at + 2] << 8) | u8[offset + at + 3])
    if (end > length || end < at + headerBytes) return
    this.l3 = at
    this.headerBytes = headerBytes
    this.end = end
    this.type = PacketType.IPV4 | (headerBytes > 20 ? PacketType.IPV4_EXTENSIONS : 0)
    this.fragment = (((u8[offset + at + 6] & 0x3f) << 8) | u8[offset + at + 7]) !== 0
    if (!this.fragment) this.transport(u8[offset + at + 9], at + headerBytes)
  }

  private parseIpv6(u8: Uint8Array, offset: number, at: number, length: number): void {
    if (length < at + 40 || u8[offset + at] >> 4 !== 6) return
    const end = at + 40 + ((u8[offset + at + 4] << 8) | u8[offset + at + 5])
    if (end > length) return
    this.l3 = at
    this.end = end
    this.type = PacketType.IPV6
    let next = u8[offset + at + 6]
    let header = at + 40
    while (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION || next === FRAGMENT) {
      this.type |= PacketType.IPV6_EXTENSIONS
      if (next === FRAGMENT || header + 8 > end) {
        this.fragment = true
        return
      }
      next = u8[offset + header]
      header += (u8[offset + header + 1] + 1) << 3
    }
    this.transport(next, header)
  }

  private transport(protocol: number, at: number): void {
    const minimum = protocol === TCP ? 20 : protocol === UDP ? 8 : protocol === SCTP ? 12 : Infinity
    if (at + minimum > this.end) return
    this.l4 = at
    this.type |= protocol === TCP ? PacketType.TCP : protocol === UDP ? PacketType.UDP : PacketType.SCTP
  }
}
