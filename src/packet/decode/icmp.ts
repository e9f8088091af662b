/** ICMP (RFC 792 and those after it) and ICMPv6 (RFC 4443; RFC 4861, 2710, 3810). */
import { HEADER_BYTES as IPV4_HEADER_BYTES, IpProtocol } from '../ipv4.ts'
import { HEADER_BYTES as IPV6_HEADER_BYTES } from '../ipv6.ts'
import type { PacketFields } from './fields.ts'
import type { Part } from './part.ts'

/** In front of the packet that an error is about. */
const ERROR_BYTES = 8

export function decodeIcmp(part: Part, out: PacketFields): void {
  if (!part.has(2)) {
    out.cut = 'icmp'
    return
  }
  const icmp = { type: part.byte(0), code: part.byte(1), length: part.length }
  out.icmp = icmp
  const text = icmpText(part, icmp.type, icmp.code)
  if (text === null) out.cut = 'icmp'
  else out.icmp = { ...icmp, text }
}

const SIMPLE: Readonly<Record<number, string>> = {
  4: 'source quench',
  9: 'router advertisement',
  10: 'router solicitation',
  15: 'information request',
  16: 'information reply',
  17: 'address mask request',
  18: 'address mask reply',
}

/** null: it was cut too early. */
function icmpText(part: Part, type: number, code: number): string | null {
  switch (type) {
    case 0:
    case 8:
      return part.has(8) ? `echo ${type === 8 ? 'request' : 'reply'}, ${echo(part)}` : null
    case 3:
      return part.has(ERROR_BYTES + IPV4_HEADER_BYTES) ? unreachable(part, code) : null
    case 5:
      return part.has(ERROR_BYTES + IPV4_HEADER_BYTES) ? redirect(part, code) : null
    case 11:
      if (code > 1) return `time exceeded-#${code}`
      return code === 0 ? 'time exceeded in-transit' : 'ip reassembly time exceeded'
    case 12:
      if (code !== 0) return `parameter problem - code ${code}`
      return part.has(5) ? `parameter problem - octet ${part.byte(4)}` : null
    case 13:
      return part.has(8) ? `time stamp query id ${part.u16(4)} seq ${part.u16(6)}` : null
    case 14:
      if (!part.has(20)) return null
      return `time stamp reply id ${part.u16(4)} seq ${part.u16(6)}: org ${time(part.u32(8))}, recv ${time(part.u32(12))}, xmit ${time(part.u32(16))}`
    default:
      return SIMPLE[type] ?? `type-#${type}`
  }
}

function echo(part: Part): string {
  return `id ${part.u16(4)}, seq ${part.u16(6)}`
}

/** Milliseconds since midnight UTC. */
function time(milliseconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const seconds = Math.floor(milliseconds / 1000)
  const rest = String(milliseconds % 1000).padStart(3, '0')
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}.${rest}`
}

/** Codes with no more to say than to whom the packet was to go (RFC 792, 1122 §3.2.2.1, 1812 §5.2.7.1). */
const UNREACHABLE: Readonly<Record<number, (target: string) => string>> = {
  0: (target) => `net ${target} unreachable`,
  1: (target) => `host ${target} unreachable`,
  5: (target) => `${target} unreachable - source route failed`,
  6: (target) => `net ${target} unreachable - unknown`,
  7: (target) => `host ${target} unreachable - unknown`,
  8: (target) => `${target} unreachable - source host isolated`,
  9: (target) => `net ${target} unreachable - admin prohibited`,
  10: (target) => `host ${target} unreachable - admin prohibited`,
  11: (target) => `net ${target} unreachable - tos prohibited`,
  12: (target) => `host ${target} unreachable - tos prohibited`,
  13: (target) => `host ${target} unreachable - admin prohibited filter`,
  14: (target) => `host ${target} unreachable - host precedence violation`,
  15: (target) => `host ${target} unreachable - precedence cutoff`,
}

function unreachable(part: Part, code: number): string | null {
  const packet = part.after(ERROR_BYTES)
  const target = packet.ipv4(16)
  const protocol = packet.byte(9)
  if (code === 2) return `${target} protocol ${protocol} unreachable`
  if (code === 3) {
    const header = (packet.byte(0) & 0xf) << 2
    return packet.has(header + 4) ? `${portOf(target, protocol, packet.u16(header + 2))} unreachable` : null
  }
  if (code === 4) {
    const mtu = part.u16(6)
    return `${target} unreachable - need to frag${mtu === 0 ? '' : ` (mtu ${mtu})`}`
  }
  return UNREACHABLE[code]?.(target) ?? `${target} unreachable - #${code}`
}

function portOf(target: string, protocol: number, port: number): string {
  if (protocol === IpProtocol.TCP) return `${target} tcp port ${port}`
  return protocol === IpProtocol.UDP
    ? `${target} udp port ${port}`
    : `${target} protocol ${protocol} port ${port}`
}

function redirect(part: Part, code: number): string {
  const gateway = part.ipv4(4)
  const target = part.ipv4(ERROR_BYTES + 16)
  const words = [`redirect ${target} to net`, `redirect ${target} to host`]
  const withTos = [`redirect-tos ${target} to net`, `redirect-tos ${target} to host`]
  return `${[...words, ...withTos][code] ?? `redirect-#${code} ${target} to`} ${gateway}`
}

const ICMP6: Readonly<Record<number, string>> = {
  1: 'destination unreachable',
  2: 'packet too big',
  3: 'time exceeded in-transit',
  4: 'parameter problem',
  128: 'echo request',
  129: 'echo reply',
  130: 'multicast listener query',
  131: 'multicast listener report',
  132: 'multicast listener done',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbor solicitation',
  136: 'neighbor advertisement',
  137: 'redirect',
  143: 'multicast listener report v2',
}

export function decodeIcmp6(part: Part, out: PacketFields): void {
  if (!part.has(4)) {
    out.cut = 'icmp6'
    return
  }
  const icmp = { type: part.byte(0), code: part.byte(1), length: part.length }
  const name = ICMP6[icmp.type] ?? `unknown icmp6 type (${icmp.type})`
  const more = icmp6Text(part, icmp.type, icmp.code)
  if (more === null) out.cut = 'icmp6'
  out.icmp = { ...icmp, text: `${name}${more ?? ''}` }
}

/** What follows the name; null: it was cut too early. */
function icmp6Text(part: Part, type: number, code: number): string | null {
  switch (type) {
    case 1:
      return part.has(ERROR_BYTES + IPV6_HEADER_BYTES) ? unreachable6(part, code) : null
    case 2:
      return part.has(8) ? `, mtu ${part.u32(4)}` : null
    case 3:
      if (code === 1) return ' (reassembly)'
      if (code > 1) return `, unknown code (${code})`
      return part.has(ERROR_BYTES + IPV6_HEADER_BYTES) ? ` for ${part.ipv6(ERROR_BYTES + 24)}` : null
    case 4: {
      const what = ['erroneous', 'next header', 'option', 'incomplete header chain'][code]
      if (!part.has(ERROR_BYTES + IPV6_HEADER_BYTES)) return null
      return what === undefined ? `, code-#${code}` : `, ${what} - octet ${part.u32(4)}`
    }
    case 128:
    case 129:
      return part.has(8) ? `, ${echo(part)}` : null
    case 130:
    case 131:
    case 132:
      return part.has(24) ? `, addr ${part.ipv6(8)}` : null
    case 135:
      return part.has(24) ? `, who has ${part.ipv6(8)}` : null
    case 136:
      return part.has(24) ? `, tgt is ${part.ipv6(8)}` : null
    case 137:
      return part.has(40) ? `, ${part.ipv6(24)} to ${part.ipv6(8)}` : null
    case 143:
      return part.has(8) ? `, ${part.u16(6)} group record(s)` : null
    default:
      return ''
  }
}

function unreachable6(part: Part, code: number): string | null {
  const packet = part.after(ERROR_BYTES)
  const target = packet.ipv6(24)
  switch (code) {
    case 0:
      return `, unreachable route ${target}`
    case 1:
      return `, unreachable prohibited ${target}`
    case 2:
      return `, beyond scope ${target}, source address ${packet.ipv6(8)}`
    case 3:
      return `, unreachable address ${target}`
    case 4:
      if (!packet.has(IPV6_HEADER_BYTES + 4)) return null
      return `, unreachable port, ${portOf(target, packet.byte(6), packet.u16(IPV6_HEADER_BYTES + 2))}`
    default:
      return `, unknown unreach code (${code})`
  }
}
