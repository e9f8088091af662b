/**
 * Packets of captures as Ethernet frames: some link types have no Ethernet header and get one. Numbers as in
 * https://www.tcpdump.org/linktypes.html.
 */
import { IxyError } from '../errors.ts'
import { LINKTYPE_ETHERNET } from '../packet/pcap.ts'
import { DESTINATION, EtherType, HEADER_BYTES, SOURCE, TYPE } from '../packet/ethernet.ts'
import { BROADCAST_MAC, MAC_BYTES } from '../packet/mac.ts'
import { DEFAULT_TEMPLATE } from '../packet/template.ts'
import type { CapturedPacket } from './packet.ts'

/** Link types that are raw IP by one name or another: BSDs', OpenBSD's, the registered ones. */
const RAW_IP = new Set([12, 14, 101, 228, 229])
const LINKTYPE_NULL = 0
const LINKTYPE_LOOP = 108
const LINKTYPE_LINUX_SLL = 113
const LINKTYPE_LINUX_SLL2 = 276

/** AF_INET and AF_INET6 of the systems that write NULL and LOOP captures: one number for the first, several for the other. */
const AF_INET = 2
const AF_INET6 = new Set([10, 24, 28, 30])

/** Cooked captures: how the packet came (§"LINKTYPE_LINUX_SLL"), and kinds of devices whose protocol is no EtherType. */
const COOKED_BROADCAST = 1
const NO_ETHERTYPE = new Set([770, 803, 824])
/** Below, the protocol is no EtherType: 4 is IEEE 802.2 LLC. */
const FIRST_ETHERTYPE = 0x600
const COOKED_LLC = 4
const MOST_LLC = 1500

const NAMES: Readonly<Record<number, string>> = {
  9: 'PPP',
  50: 'PPP',
  51: 'PPPoE',
  104: 'Cisco HDLC',
  105: 'IEEE 802.11',
  119: 'IEEE 802.11 with Prism header',
  127: 'IEEE 802.11 with radiotap header',
  163: 'IEEE 802.11 with AVS header',
  187: 'Bluetooth HCI',
  189: 'USB',
  195: 'IEEE 802.15.4',
  201: 'Bluetooth HCI',
  220: 'USB',
  227: 'CAN',
  239: 'NFLOG',
  249: 'USB',
  253: 'Netlink',
}

/** Makes frames of packets. A header that is made stands where the capture's own was, in front of what is kept. */
export class Framer {
  /** The frame. */
  offset = 0
  length = 0
  private readonly name: string
  private readonly destination: Uint8Array

  /** `destination`: of headers that are made; null: that of the packets pktgen sends. */
  constructor(name: string, destination: Uint8Array | null) {
    this.name = name
    this.destination = destination ?? DEFAULT_TEMPLATE.destinationMac
  }

  /** False if there is no frame in this packet. Throws IXY_ERR_FILE for link types that are no network of this kind. */
  frame(bytes: Uint8Array, packet: CapturedPacket): boolean {
    const { linkType, offset, length } = packet
    this.offset = offset
    this.length = length
    if (linkType === LINKTYPE_ETHERNET) return true
    if (RAW_IP.has(linkType))
      return length > 0 && this.header(bytes, this.destination, null, ipType(bytes[offset]))
    if (linkType === LINKTYPE_NULL || linkType === LINKTYPE_LOOP) return this.loopback(bytes)
    if (linkType === LINKTYPE_LINUX_SLL) return this.cooked(bytes, 16, 0, 2, 4, 6, 14)
    if (linkType === LINKTYPE_LINUX_SLL2) return this.cooked(bytes, 20, 10, 8, 11, 12, 0)
    const named = NAMES[linkType]
    throw new IxyError(
      'IXY_ERR_FILE',
      `can't use ${this.name}: it is not of Ethernet but of ${named === undefined ? `link type ${linkType}` : `${named} (link type ${linkType})`}`,
      'capture on an Ethernet interface',
    )
  }

  /** The address family in four bytes, in either byte order. */
  private loopback(bytes: Uint8Array): boolean {
    if (this.length < 5) return false
    const { offset } = this
    const big =
      ((bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3]) >>> 0
    const family = big > 0xffff ? (big >>> 24) | ((big >>> 8) & 0xff00) : big
    this.pass(4)
    if (family === AF_INET) return this.header(bytes, this.destination, null, EtherType.IPV4)
    return AF_INET6.has(family) && this.header(bytes, this.destination, null, EtherType.IPV6)
  }

  /** A header of `headerBytes`, with its fields at these places. The type field of SLL2 has one byte, that of SLL two. */
  private cooked(
    bytes: Uint8Array,
    headerBytes: number,
    typeAt: number,
    deviceAt: number,
    lengthAt: number,
    addressAt: number,
    protocolAt: number,
  ): boolean {
    if (this.length < headerBytes) return false
    const { offset } = this
    const u16 = (at: number): number => (bytes[offset + at] << 8) | bytes[offset + at + 1]
    const two = typeAt === 0
    const type = two ? u16(typeAt) : bytes[offset + typeAt]
    const addressBytes = two ? u16(lengthAt) : bytes[offset + lengthAt]
    const protocol = u16(protocolAt)
    if (NO_ETHERTYPE.has(u16(deviceAt))) return false
    this.pass(headerBytes)
    const destination = type === COOKED_BROADCAST ? BROADCAST_MAC : this.destination
    const source = addressBytes === MAC_BYTES ? offset + addressAt : null
    if (protocol >= FIRST_ETHERTYPE) return this.header(bytes, destination, source, protocol)
    if (protocol !== COOKED_LLC || this.length > MOST_LLC) return false
    return this.header(bytes, destination, source, this.length)
  }

  private pass(bytes: number): void {
    this.offset += bytes
    this.length -= bytes
  }

  /** `source`: where the address is in `bytes`; null: there is none. Returns false for type 0. */
  private header(bytes: Uint8Array, destination: Uint8Array, source: number | null, type: number): boolean {
    if (type === 0) return false
    const at = this.offset - HEADER_BYTES
    // From the last to the first, as the two may overlap.
    for (let i = MAC_BYTES - 1; i >= 0; i--) {
      const byte = source === null ? DEFAULT_TEMPLATE.sourceMac[i] : bytes[source + i]
      bytes[at + SOURCE + i] = byte
    }
    for (let i = 0; i < MAC_BYTES; i++) bytes[at + DESTINATION + i] = destination[i]
    bytes[at + TYPE] = type >>> 8
    bytes[at + TYPE + 1] = type & 0xff
    this.offset = at
    this.length += HEADER_BYTES
    return true
  }
}

/** By the version in the first four bits; 0 for neither. */
function ipType(first: number): number {
  const version = first >>> 4
  if (version === 4) return EtherType.IPV4
  return version === 6 ? EtherType.IPV6 : 0
}
