/**
 * A packet in one line, in the words of `tcpdump -nt`: what people know. Other than there, VLAN tags are shown, sequence numbers of TCP
 * are those of the packet (`-S`), and nothing behind UDP and TCP is looked at.
 */
import { EtherType } from '../ethernet.ts'
import type { ArpFields, PacketFields, TcpFields } from './fields.ts'
import { decodeEthernet, FIRST_TYPE, hex4, REVERSE_ARP } from './link.ts'
import { Part } from './part.ts'

const NO_MAC = '00:00:00:00:00:00'

/**
 * What the frame says whose `captured` bytes are at `offset` of `u8`, and that had `wireLength` bytes on the wire, both without FCS. Never
 * throws for whatever is in it. It allocates: for packets that are printed.
 */
export function packetFields(
  u8: Uint8Array,
  offset: number,
  captured: number,
  wireLength: number,
): PacketFields {
  const out: PacketFields = { length: wireLength }
  if (captured < wireLength) out.captured = captured
  decodeEthernet(new Part(u8, offset, captured, wireLength), out)
  return out
}

/** What `packetFields` finds, in one line, in the words of `tcpdump -nt`; without an end of line. */
export function describePacket(u8: Uint8Array, offset: number, captured: number, wireLength: number): string {
  return lineOf(packetFields(u8, offset, captured, wireLength))
}

/** The line for what `packetFields` has found. */
export function lineOf(packet: PacketFields): string {
  const tags = (packet.vlan ?? []).map(
    ({ id, priority, dropEligible }) => `vlan ${id}, p ${priority}${dropEligible ? ', DEI' : ''}, `,
  )
  const text = payload(packet)
  return `${tags.join('')}${text}${packet.cut === undefined ? '' : `${text === '' ? '' : ' '}[|${packet.cut}]`}`
}

function payload(packet: PacketFields): string {
  const { ethernet, arp, ip, fault } = packet
  if (ip !== undefined) return ipLine(packet)
  switch (ethernet?.type) {
    case undefined:
      return fault ?? ''
    case EtherType.IPV4:
      if (fault?.startsWith('IP') === true) return `${fault} (invalid)`
      return `IP${fault === undefined ? '' : ` ${fault}`}`
    case EtherType.IPV6:
      return `IP6${fault === undefined ? '' : ` ${fault}`}`
    case EtherType.ARP:
    case REVERSE_ARP: {
      const what = arp === undefined ? fault : arpText(arp)
      const tags = packet.vlan?.length ?? 0
      return what === undefined ? 'ARP' : `ARP, ${what}, length ${packet.length - 14 - 4 * tags}`
    }
    default:
      return ethernet === undefined ? '' : frameLine(packet, ethernet.type)
  }
}

/** Of a frame whose payload nobody here knows. */
function frameLine({ ethernet, length }: PacketFields, type: number): string {
  const what = type < FIRST_TYPE ? '802.3' : `ethertype 0x${hex4(type)}`
  return `${ethernet?.source ?? ''} > ${ethernet?.destination ?? ''}, ${what}, length ${length}`
}

function arpText({ operation, senderMac, senderIp, targetMac, targetIp }: ArpFields): string {
  switch (operation) {
    case 1:
      return `Request who-has ${targetIp}${targetMac === NO_MAC ? '' : ` (${targetMac})`} tell ${senderIp}`
    case 2:
      return `Reply ${senderIp} is-at ${senderMac}`
    case 3:
      return `Reverse Request who-is ${targetMac} tell ${senderMac}`
    case 4:
      return `Reverse Reply ${targetMac} at ${targetIp}`
    case 8:
      return `Inverse Request who-is ${targetMac} tell ${senderMac}`
    case 9:
      return `Inverse Reply ${senderMac} at ${senderIp}`
    default:
      return `Unknown (${operation})`
  }
}

function ipLine(packet: PacketFields): string {
  const { ip, tcp, udp, fault } = packet
  if (ip === undefined) return ''
  const name = ip.version === 4 ? 'IP' : 'IP6'
  const missing =
    ip.missing === undefined ? '' : `truncated-${name.toLowerCase()} - ${ip.missing} bytes missing! `
  const ports = tcp ?? udp
  const { extensions = [] } = ip
  const alone = extensions.length > 0
  const from = ports === undefined || alone ? ip.source : `${ip.source}.${ports.sourcePort}`
  const to = ports === undefined || alone ? ip.destination : `${ip.destination}.${ports.destinationPort}`
  const words = [...extensions]
  if (ports !== undefined && alone) words.push(`${ports.sourcePort} > ${ports.destinationPort}:`)
  words.push(...upperText(packet))
  if (fault !== undefined) words.push(fault)
  return `${name} ${missing}${from} > ${to}:${words.map((word) => ` ${word}`).join('')}`
}

function upperText(packet: PacketFields): string[] {
  const { ip, tcp, udp, icmp, inner, cut, fault } = packet
  if (tcp !== undefined) return tcp.flags === undefined ? [] : [tcpText(tcp)]
  if (udp !== undefined) return udp.length === undefined ? [] : [`UDP, length ${udp.length}`]
  if (icmp !== undefined) {
    const name = ip?.version === 6 ? 'ICMP6,' : 'ICMP'
    const length = cut === undefined ? `, length ${icmp.length}` : ''
    return [`${name} ${icmp.text ?? `type ${icmp.type}, code ${icmp.code}`}${length}`]
  }
  if (inner !== undefined) return [lineOf(inner)]
  if (ip === undefined || cut !== undefined || fault !== undefined) return []
  if (ip.fragment !== undefined && ip.fragment.offset > 0)
    return ip.version === 4 ? [`ip-proto-${ip.protocol}`] : []
  return ip.protocol === NO_NEXT_HEADER && ip.version === 6
    ? ['no next header']
    : [`ip-proto-${ip.protocol} ${ip.length - ip.headerLength}`]
}

/** RFC 8200 §4.7. */
const NO_NEXT_HEADER = 59

function tcpText({
  flags = '',
  sequence,
  acknowledgement,
  window,
  urgentPointer,
  options,
  length,
}: TcpFields): string {
  const words = [`Flags [${flags === '' ? 'none' : flags}]`]
  if (length === undefined) return words[0]
  if (sequence !== undefined && (length > 0 || /[SFR]/.test(flags)))
    words.push(`seq ${sequence}${length > 0 ? `:${(sequence + length) >>> 0}` : ''}`)
  if (acknowledgement !== undefined) words.push(`ack ${acknowledgement}`)
  words.push(`win ${window}`)
  if (urgentPointer !== undefined) words.push(`urg ${urgentPointer}`)
  if (options !== undefined) words.push(`options [${options.join(',')}]`)
  words.push(`length ${length}`)
  return words.join(', ')
}
