/** IPv4, and IPv6 with its extension headers. */
import { HEADER_BYTES as IPV4_HEADER_BYTES, IpProtocol } from '../ipv4.ts'
import { HEADER_BYTES as IPV6_HEADER_BYTES } from '../ipv6.ts'
import type { IpFields, PacketFields } from './fields.ts'
import { decodeIcmp, decodeIcmp6 } from './icmp.ts'
import { Part } from './part.ts'
import { decodeTcp, decodeUdp } from './transport.ts'

const MORE_FRAGMENTS = 0x2000
const DONT_FRAGMENT = 0x4000
const FRAGMENT_OFFSET = 0x1fff
/** Packets in packets, as deep as they are followed. */
const DEEPEST = 8

const IPV4_IN_IP = 4
const IPV6_IN_IP = 41

/** RFC 8200 §4; their numbers are in the space of IP's protocols. */
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION_OPTIONS = 60

export function decodeIpv4(part: Part, out: PacketFields, depth = 0): void {
  if (!part.has(1)) {
    out.cut = 'ip'
    return
  }
  const version = part.byte(0) >>> 4
  if (version !== 4) {
    out.fault = version === 6 ? 'IP6, wrong link-layer encapsulation' : `IP${version}`
    return
  }
  if (!part.has(IPV4_HEADER_BYTES)) {
    out.cut = 'ip'
    return
  }
  const headerBytes = (part.byte(0) & 0xf) << 2
  const length = part.u16(2)
  if (headerBytes < IPV4_HEADER_BYTES) out.fault = `bad-hlen ${headerBytes}`
  // No length: its kernel has left it to the card, which was to cut the packet (TSO).
  else if (length < headerBytes && length > 0) out.fault = `bad-len ${length}`
  if (out.fault !== undefined) return
  const whole = length === 0 ? part.length : length
  const word = part.u16(6)
  const offset = (word & FRAGMENT_OFFSET) << 3
  const more = (word & MORE_FRAGMENTS) !== 0
  const ip: IpFields = {
    version: 4,
    source: part.ipv4(12),
    destination: part.ipv4(16),
    protocol: part.byte(9),
    timeToLive: part.byte(8),
    trafficClass: part.byte(1),
    length: whole,
    headerLength: headerBytes,
    identification: part.u16(4),
    dontFragment: (word & DONT_FRAGMENT) !== 0,
  }
  out.ip = ip
  if (whole > part.length) ip.missing = whole - part.length
  if (offset > 0 || more) ip.fragment = { offset, more }
  if (offset > 0) return
  if (!part.has(headerBytes)) out.cut = 'ip'
  // Lengths are those of the header, as far as bytes are there.
  else decodePayload(within(part, whole).after(headerBytes), out, ip, depth)
}

export function decodeIpv6(part: Part, out: PacketFields, depth = 0): void {
  if (!part.has(IPV6_HEADER_BYTES)) {
    out.cut = 'ip6'
    return
  }
  const version = part.byte(0) >>> 4
  if (version !== 6) {
    out.fault = `version error: ${version} != 6`
    return
  }
  const length = IPV6_HEADER_BYTES + part.u16(4)
  const ip: IpFields = {
    version: 6,
    source: part.ipv6(8),
    destination: part.ipv6(24),
    protocol: part.byte(6),
    timeToLive: part.byte(7),
    trafficClass: (part.u16(0) >>> 4) & 0xff,
    length,
    headerLength: IPV6_HEADER_BYTES,
  }
  out.ip = ip
  if (length > part.length) ip.missing = length - part.length
  const payload = passExtensions(within(part, length).after(IPV6_HEADER_BYTES), out, ip)
  if (payload !== null) decodePayload(payload, out, ip, depth)
}

/** Of a packet that is so long: what is there, as long as the header says. */
function within({ u8, at, captured }: Part, length: number): Part {
  return new Part(u8, at, captured, length)
}

/** Returns what is behind the extension headers; null if that is not to be had. */
function passExtensions(part: Part, out: PacketFields, ip: IpFields): Part | null {
  const extensions: string[] = []
  for (;;) {
    const { protocol } = ip
    if (
      protocol !== HOP_BY_HOP &&
      protocol !== ROUTING &&
      protocol !== FRAGMENT &&
      protocol !== DESTINATION_OPTIONS
    )
      return part
    ip.extensions = extensions
    if (!part.has(8)) {
      out.cut = 'ip6'
      return null
    }
    ip.protocol = part.byte(0)
    if (protocol === FRAGMENT) {
      const word = part.u16(2)
      ip.fragment = { offset: word & 0xfff8, more: (word & 1) !== 0 }
      ip.identification = part.u32(4)
      extensions.push(`frag (${word & 0xfff8}|${part.length - 8})`)
      ip.headerLength += 8
      if ((word & 0xfff8) > 0) return null
      part = part.after(8)
      continue
    }
    const bytes = (part.byte(1) + 1) << 3
    if (protocol === HOP_BY_HOP) extensions.push('HBH')
    else if (protocol === DESTINATION_OPTIONS) extensions.push('DSTOPT')
    else extensions.push(routing(part))
    if (!part.has(bytes)) {
      out.cut = 'ip6'
      return null
    }
    ip.headerLength += bytes
    part = part.after(bytes)
  }
}

function routing(part: Part): string {
  const type = part.byte(2)
  // RFC 5095.
  const deprecated = type === 0 ? ' [Deprecated]' : ''
  return `RT6 (len=${part.byte(1)}, type=${type}${deprecated}, segleft=${part.byte(3)})`
}

function decodePayload(part: Part, out: PacketFields, { version, protocol }: IpFields, depth: number): void {
  if (protocol === IpProtocol.TCP) decodeTcp(part, out)
  else if (protocol === IpProtocol.UDP) decodeUdp(part, out)
  else if (protocol === IpProtocol.ICMP && version === 4) decodeIcmp(part, out)
  else if (protocol === IpProtocol.ICMPV6 && version === 6) decodeIcmp6(part, out)
  else if ((protocol === IPV4_IN_IP || protocol === IPV6_IN_IP) && depth < DEEPEST) {
    const inner: PacketFields = { length: part.length }
    out.inner = inner
    if (protocol === IPV4_IN_IP) decodeIpv4(part, inner, depth + 1)
    else decodeIpv6(part, inner, depth + 1)
  }
}
