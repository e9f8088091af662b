import type { IcmpMessage } from './icmp.ts'
import { IpProtocol } from './ipv4.ts'
import type { Ipv6Packet } from './ipv6.ts'
import { NEIGHBOUR_BYTES, NEIGHBOUR_HOP_LIMIT, type NeighbourMessage } from './neighbour.ts'

const IP_BYTES = 40
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)

/**
 * Makes of the solicitation at which `ip` is aimed the advertisement that `target` has the MAC address `mac`, to `asker`; if that
 * is `::`, who wants to use the address itself, to all. Returns the length of the packet. There is room for it behind any
 * solicitation: no buffer is shorter than 60 bytes.
 */
export function writeAdvertisement(
  ip: Ipv6Packet,
  icmp: IcmpMessage,
  message: NeighbourMessage,
  asker: Uint8Array,
  mac: Uint8Array,
  target: Uint8Array,
): number {
  const { u8, offset } = ip
  const nobody = asker.every((byte) => byte === 0)
  ip.create(u8, offset, IP_BYTES + NEIGHBOUR_BYTES)
  ip.nextHeader = IpProtocol.ICMPV6
  ip.hopLimit = NEIGHBOUR_HOP_LIMIT
  ip.setSource(target)
  ip.setDestination(nobody ? ALL_NODES : asker)
  message.tell(u8, ip.payloadOffset, ip.payloadLength, mac, target, !nobody)
  icmp.wrap(u8, ip.payloadOffset, ip.payloadLength)
  icmp.fillChecksum(ip)
  return IP_BYTES + NEIGHBOUR_BYTES
}
