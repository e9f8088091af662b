/** Headers of a frame that is built once, to be put behind each other: Ethernet, VLAN tags, IP, UDP, TCP, ICMP, VXLAN. */
import { EthernetFrame, EtherType, HEADER_BYTES as ETHERNET_BYTES, VLAN_TAG_BYTES } from './ethernet.ts'
import { HEADER_BYTES as ICMP_BYTES, IcmpMessage, IcmpType } from './icmp.ts'
import { Icmpv6Type } from './icmpv6.ts'
import { HEADER_BYTES as IPV4_BYTES, IpProtocol, Ipv4Packet } from './ipv4.ts'
import { HEADER_BYTES as IPV6_HEADER_BYTES, Ipv6Packet } from './ipv6.ts'
import { read32, write16 } from './big-endian.ts'
import { addToSum, finishSum } from './checksum.ts'
import { HEADER_BYTES as TCP_BYTES, TcpSegment } from './tcp.ts'
import { HEADER_BYTES as UDP_BYTES, UdpDatagram } from './udp.ts'
import { VlanTag } from './vlan.ts'
import { VXLAN_HEADER_BYTES, VxlanPacket } from './vxlan.ts'

const UDP_CHECKSUM = 6

/** Where a header has its checksum, and whether that is over the header alone, all up to the end, or the IP addresses in front as well. */
export interface Checksum {
  readonly at: number
  readonly over: 'header' | 'all' | 'addresses'
}

/** A header that knows its values and writes itself. */
export interface Header {
  readonly kind: 'ethernet' | 'vlan' | 'ipv4' | 'ipv6' | 'udp' | 'tcp' | 'icmp' | 'icmpv6' | 'vxlan'
  readonly bytes: number
  /** How the header in front of it announces it: EtherType or IpProtocol; 0 where nobody does. */
  readonly type: number
  /** Its checksum, null if it has none. */
  readonly checksum: Checksum | null
  /**
   * Writes it to `frame[at…]`, checksums left 0: all that follows up to the end of the frame is its payload, whose first header
   * is of type `next`.
   */
  write(frame: Uint8Array, at: number, next: number): void
}

/** MAC addresses are six bytes. */
export function ethernet(source: Uint8Array, destination: Uint8Array): Header {
  return {
    kind: 'ethernet',
    bytes: ETHERNET_BYTES,
    type: 0,
    checksum: null,
    write(frame, at, next) {
      const view = new EthernetFrame()
      view.wrap(frame, at)
      view.setSource(source)
      view.setDestination(destination)
      view.type = next
    },
  }
}

/** Tags with these ids, outermost first: the last one is a customer's (802.1Q), those before it are services' (802.1ad). */
export function vlans(ids: readonly number[]): Header[] {
  return ids.map((id, i) => ({
    kind: 'vlan',
    bytes: VLAN_TAG_BYTES,
    type: i === ids.length - 1 ? EtherType.VLAN : EtherType.SERVICE_VLAN,
    checksum: null,
    write(frame, at, next) {
      const view = new VlanTag()
      view.wrap(frame, at)
      view.id = id
      view.type = next
    },
  }))
}

/** Addresses of 4 bytes make IPv4, of 16 IPv6. */
export function ip(source: Uint8Array, destination: Uint8Array): Header {
  return source.length === 4 ? ipv4(source, destination) : ipv6(source, destination)
}

function ipv4(source: Uint8Array, destination: Uint8Array): Header {
  return {
    kind: 'ipv4',
    bytes: IPV4_BYTES,
    type: EtherType.IPV4,
    checksum: { at: 10, over: 'header' },
    write(frame, at, next) {
      const view = new Ipv4Packet()
      view.create(frame, at, frame.length - at)
      view.protocol = next
      view.source = read32(source, 0)
      view.destination = read32(destination, 0)
    },
  }
}

function ipv6(source: Uint8Array, destination: Uint8Array): Header {
  return {
    kind: 'ipv6',
    bytes: IPV6_HEADER_BYTES,
    type: EtherType.IPV6,
    checksum: null,
    write(frame, at, next) {
      const view = new Ipv6Packet()
      view.create(frame, at, frame.length - at)
      view.nextHeader = next
      view.setSource(source)
      view.setDestination(destination)
    },
  }
}

/** Without checksum the field is 0, which IPv4 allows, and IPv6 for tunnels. */
export function udp(sourcePort: number, destinationPort: number, checksum: boolean): Header {
  return {
    kind: 'udp',
    bytes: UDP_BYTES,
    type: IpProtocol.UDP,
    checksum: checksum ? { at: UDP_CHECKSUM, over: 'addresses' } : null,
    write(frame, at) {
      const view = new UdpDatagram()
      view.create(frame, at, frame.length - at)
      view.sourcePort = sourcePort
      view.destinationPort = destinationPort
    },
  }
}

/** `flags`: of `TcpFlag`. */
export function tcp(sourcePort: number, destinationPort: number, flags: number): Header {
  return {
    kind: 'tcp',
    bytes: TCP_BYTES,
    type: IpProtocol.TCP,
    checksum: { at: 16, over: 'addresses' },
    write(frame, at) {
      const view = new TcpSegment()
      view.create(frame, at, frame.length - at)
      view.sourcePort = sourcePort
      view.destinationPort = destinationPort
      view.flags = flags
      view.window = 0xffff
    },
  }
}

/** An echo request, of ICMPv6 if `version` is 6. */
export function echo(version: 4 | 6, identifier: number): Header {
  return {
    kind: version === 4 ? 'icmp' : 'icmpv6',
    bytes: ICMP_BYTES,
    type: version === 4 ? IpProtocol.ICMP : IpProtocol.ICMPV6,
    checksum: { at: 2, over: version === 4 ? 'all' : 'addresses' },
    write(frame, at) {
      const view = new IcmpMessage()
      view.create(frame, at, frame.length - at)
      view.type = version === 4 ? IcmpType.ECHO_REQUEST : Icmpv6Type.ECHO_REQUEST
      view.identifier = identifier
    },
  }
}

export function vxlan(vni: number): Header {
  return {
    kind: 'vxlan',
    bytes: VXLAN_HEADER_BYTES,
    type: 0,
    checksum: null,
    write(frame, at) {
      new VxlanPacket().create(frame, at, frame.length - at, vni)
    },
  }
}

/** Bytes of the first `count` headers, or of all. */
export function headerBytes(headers: readonly Header[], count = headers.length): number {
  return headers.slice(0, count).reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Writes all headers to the start of `frame`, without checksums. */
export function writeHeaders(headers: readonly Header[], frame: Uint8Array): void {
  let at = 0
  headers.forEach((header, i) => {
    header.write(frame, at, headers[i + 1]?.type ?? 0)
    at += header.bytes
  })
}

/**
 * What the checksum of header `i` of `frame` is over, with the checksum itself: a one's complement sum, 16 bits, not complemented.
 */
export function sumOver(headers: readonly Header[], i: number, frame: Uint8Array): number {
  const { bytes, checksum, type } = headers[i]
  if (checksum === null) throw new RangeError(`header ${i} has no checksum`)
  const at = headerBytes(headers, i)
  const length = checksum.over === 'header' ? bytes : frame.length - at
  const sum = addToSum(checksum.over === 'addresses' ? type + length : 0, frame, at, length)
  if (checksum.over !== 'addresses') return ~finishSum(sum) & 0xffff
  const addresses = headers[i - 1].kind === 'ipv4' ? 8 : 32
  return ~finishSum(addToSum(sum, frame, at - addresses, addresses)) & 0xffff
}

/** Fills in all checksums, which are 0 so far. */
export function fillChecksums(headers: readonly Header[], frame: Uint8Array): void {
  // From the innermost out: the outer ones are over the inner ones.
  for (let i = headers.length - 1; i >= 0; i--) {
    const { checksum, kind } = headers[i]
    if (checksum === null) continue
    const value = ~sumOver(headers, i, frame) & 0xffff
    // UDP's is never 0, which says that there is none.
    write16(frame, headerBytes(headers, i) + checksum.at, value === 0 && kind === 'udp' ? 0xffff : value)
  }
}
