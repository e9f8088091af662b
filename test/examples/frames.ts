/** Frames for tests of apps that speak ARP and IPv4. Addresses are text. */
import {
  ArpPacket,
  EthernetFrame,
  EtherType,
  formatIpv4,
  formatMac,
  IcmpMessage,
  IpProtocol,
  Ipv4Packet,
  parseIpv4,
  parseMac,
  UdpDatagram,
} from '../../src/index.ts'

export interface Ends {
  readonly from: string
  readonly to: string
  readonly fromMac: string
  readonly toMac: string
}

function ethernet(frame: Uint8Array, { fromMac, toMac }: Ends, type: number): number {
  const header = new EthernetFrame()
  header.wrap(frame)
  header.setSource(parseMac(fromMac))
  header.setDestination(parseMac(toMac))
  header.type = type
  return header.payloadOffset
}

export function arpRequest(ends: Ends): Uint8Array {
  const frame = new Uint8Array(60)
  const arp = new ArpPacket()
  arp.create(frame, ethernet(frame, { ...ends, toMac: 'ff:ff:ff:ff:ff:ff' }, EtherType.ARP), 28)
  arp.ask(parseMac(ends.fromMac), parseIpv4(ends.from), parseIpv4(ends.to))
  return frame
}

/** The answer to an ARP request, by whoever has the address. */
export function arpReply(request: Uint8Array, mac: string): Uint8Array {
  const frame = request.slice()
  const arp = new ArpPacket()
  arp.wrap(frame, 14)
  arp.answer(parseMac(mac))
  const header = new EthernetFrame()
  header.wrap(frame)
  header.swapAddresses()
  header.setSource(parseMac(mac))
  return frame
}

export function ipv4(
  ends: Ends,
  protocol: number,
  payloadLength: number,
  fill: (ip: Ipv4Packet) => void = () => undefined,
): Uint8Array {
  const frame = new Uint8Array(Math.max(60, 34 + payloadLength))
  const ip = new Ipv4Packet()
  ip.create(frame, ethernet(frame, ends, EtherType.IPV4), 20 + payloadLength)
  ip.protocol = protocol
  ip.source = parseIpv4(ends.from)
  ip.destination = parseIpv4(ends.to)
  fill(ip)
  ip.fillChecksum()
  return frame
}

export function ping(ends: Ends, payloadLength = 40): Uint8Array {
  return ipv4(ends, IpProtocol.ICMP, 8 + payloadLength, (ip) => {
    const icmp = new IcmpMessage()
    icmp.create(ip.u8, ip.payloadOffset, ip.payloadLength)
    icmp.type = 8
    icmp.identifier = 0x1234
    icmp.sequence = 7
    for (let i = 0; i < payloadLength; i++) ip.u8[icmp.payloadOffset + i] = i
    icmp.fillChecksum()
  })
}

export function udp(ends: Ends, payloadLength = 20): Uint8Array {
  return ipv4(ends, IpProtocol.UDP, 8 + payloadLength, (ip) => {
    const datagram = new UdpDatagram()
    datagram.create(ip.u8, ip.payloadOffset, ip.payloadLength)
    datagram.sourcePort = 1000
    datagram.destinationPort = 33434
    datagram.fillChecksum(ip)
  })
}

/** A frame in words; every checksum must be right. */
export function describeFrame(frame: Uint8Array): string {
  const [header, arp, ip, icmp] = [new EthernetFrame(), new ArpPacket(), new Ipv4Packet(), new IcmpMessage()]
  header.wrap(frame)
  const ends = `${formatMac(frame, 6)} > ${formatMac(frame)}`
  if (arp.wrap(frame, 14) && header.type === EtherType.ARP) {
    const sender = `${formatIpv4(arp.senderIp)} (${formatMac(frame, 14 + 8)})`
    return arp.operation === 1
      ? `${ends} who has ${formatIpv4(arp.targetIp)}? tell ${sender}`
      : `${ends} ${sender} tells ${formatIpv4(arp.targetIp)} (${formatMac(frame, 14 + 18)})`
  }
  if (header.type !== EtherType.IPV4 || !ip.wrap(frame, 14)) return `${ends} something else`
  expect(ip.checksumOk).toBe(true)
  const packet = `${ends} ${formatIpv4(ip.source)} > ${formatIpv4(ip.destination)} ttl ${ip.timeToLive}`
  if (ip.protocol !== IpProtocol.ICMP || !icmp.wrap(frame, ip.payloadOffset, ip.payloadLength))
    return `${packet} protocol ${ip.protocol}`
  expect(icmp.checksumOk()).toBe(true)
  return `${packet} icmp ${icmp.type}/${icmp.code}`
}
