/** Ethernet with VLAN tags, and ARP. */
import { EtherType, HEADER_BYTES, VLAN_TAG_BYTES } from '../ethernet.ts'
import { MAC_BYTES } from '../mac.ts'
import type { PacketFields, VlanFields } from './fields.ts'
import { decodeIpv4, decodeIpv6 } from './ip.ts'
import type { Part } from './part.ts'

/** IEEE 802.1Q, 802.1ad, and two that were used before that. */
const TAGS = new Set<number>([EtherType.VLAN, EtherType.SERVICE_VLAN, 0x9100, 0x9200])
/** RFC 903: the packets of ARP by another number. */
export const REVERSE_ARP = 0x8035
/** From here on the field is a type, below it a length. */
export const FIRST_TYPE = 0x600

const ARP_HEADER_BYTES = 8
const ETHERNET_AND_IPV4 = 0x0604

export function decodeEthernet(frame: Part, out: PacketFields): void {
  if (!frame.has(HEADER_BYTES)) {
    out.cut = 'ether'
    return
  }
  const vlan: VlanFields[] = []
  let rest = frame.after(HEADER_BYTES)
  let type = frame.u16(2 * MAC_BYTES)
  while (TAGS.has(type) && rest.has(VLAN_TAG_BYTES)) {
    const tci = rest.u16(0)
    vlan.push({ id: tci & 0xfff, priority: tci >>> 13, dropEligible: (tci & 0x1000) !== 0 })
    type = rest.u16(2)
    rest = rest.after(VLAN_TAG_BYTES)
  }
  out.ethernet = { source: frame.mac(MAC_BYTES), destination: frame.mac(0), type }
  if (vlan.length > 0) out.vlan = vlan
  if (TAGS.has(type)) out.cut = 'vlan'
  else if (type === EtherType.IPV4) decodeIpv4(rest, out)
  else if (type === EtherType.IPV6) decodeIpv6(rest, out)
  else if (type === EtherType.ARP || type === REVERSE_ARP) decodeArp(rest, out)
}

function decodeArp(packet: Part, out: PacketFields): void {
  if (!packet.has(ARP_HEADER_BYTES)) {
    out.cut = 'arp'
    return
  }
  const lengths = packet.u16(4)
  const protocol = packet.u16(2)
  const operation = packet.u16(6)
  if (lengths !== ETHERNET_AND_IPV4 || protocol !== EtherType.IPV4) {
    out.fault = `hardware ${packet.u16(0)} (len ${lengths >>> 8}), protocol 0x${hex4(protocol)} (len ${lengths & 0xff})`
    return
  }
  if (!packet.has(ARP_HEADER_BYTES + 2 * MAC_BYTES + 8)) {
    out.cut = 'arp'
    return
  }
  out.arp = {
    operation,
    senderMac: packet.mac(8),
    senderIp: packet.ipv4(14),
    targetMac: packet.mac(18),
    targetIp: packet.ipv4(24),
  }
}

/** Four hexadecimal digits. */
export function hex4(value: number): string {
  return value.toString(16).padStart(4, '0')
}
