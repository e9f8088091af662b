/** The outer side as a host of IPv4: ARP (RFC 826), echo, and "fragmentation needed" (RFC 1191). */
import { ArpOperation, ArpPacket, PACKET_BYTES } from '../../packet/arp.ts'
import { EthernetFrame, EtherType } from '../../packet/ethernet.ts'
import { read32 } from '../../packet/big-endian.ts'
import { answerEcho, IcmpMessage, IcmpType, UnreachableCode } from '../../packet/icmp.ts'
import { IpProtocol, Ipv4Packet } from '../../packet/ipv4.ts'
import { BROADCAST_MAC } from '../../packet/mac.ts'
import { type Control, type ControlOptions, noteMtu } from './control.ts'
import { Fate } from './fates.ts'
import { layoutOf } from './job.ts'

export class Ipv4Control implements Control {
  private readonly options: ControlOptions
  private readonly header: number
  private readonly address: number
  private readonly hops: readonly number[]
  private readonly frame = new EthernetFrame()
  private readonly arp = new ArpPacket()
  private readonly ip = new Ipv4Packet()
  private readonly icmp = new IcmpMessage()
  private readonly mac = new Uint8Array(6)

  constructor(options: ControlOptions) {
    const { job } = options
    this.options = options
    this.header = layoutOf(job).ethernet
    this.address = read32(job.local, 0)
    this.hops = job.hops.map((hop) => read32(hop, 0))
  }

  handle(id: number): number {
    const { frame, header, options } = this
    frame.wrapPacket(options.memory, id)
    const { u8, offset, length } = frame
    const type = (u8[offset + header - 2] << 8) | u8[offset + header - 1]
    if (type === EtherType.ARP) return this.handleArp(id, offset + header, length - header)
    if (type !== EtherType.IPV4) return Fate.other_protocol
    // leave() has looked at its header, if it is for this end.
    if (!frame.destinationIs(options.job.mac)) return Fate.other_host
    if (!this.ip.wrap(u8, offset + header, length - header)) return Fate.bad_ip
    return this.ip.protocol === IpProtocol.ICMP ? this.handleIcmp(id) : Fate.other_protocol
  }

  ask(hop: number): void {
    const { options, header, arp, address } = this
    const id = options.compose(header + PACKET_BYTES, EtherType.ARP, BROADCAST_MAC)
    if (id < 0) return
    arp.create(options.memory.u8, options.memory.dataOffset(id) + header, PACKET_BYTES)
    arp.ask(options.job.mac, address, this.hops[hop])
    options.send(id)
  }

  private handleArp(id: number, at: number, length: number): number {
    const { arp, frame, mac, address, options } = this
    if (!arp.wrap(frame.u8, at, length)) return Fate.other_protocol
    const { senderIp, operation } = arp
    arp.copySenderMac(mac)
    const hop = this.hops.indexOf(senderIp)
    // Also what it tells everybody: a gateway may have moved.
    if (hop >= 0 && (mac[0] & 1) === 0) options.underlay.learn(hop, mac)
    if (arp.targetIp !== address || senderIp === address) return Fate.other_host
    if (operation !== ArpOperation.REQUEST) return Fate.outer_noted
    arp.answer(options.job.mac)
    frame.setDestination(mac)
    frame.setSource(options.job.mac)
    options.send(id)
    return Fate.outer_answered
  }

  private handleIcmp(id: number): number {
    const { ip, icmp, frame, options } = this
    if (answerEcho(ip, icmp)) {
      frame.swapAddresses()
      options.send(id)
      return Fate.outer_answered
    }
    const whole = icmp.wrap(ip.u8, ip.payloadOffset, ip.payloadLength) && icmp.checksumOk()
    if (!whole) return Fate.bad_checksum
    if (icmp.type === IcmpType.DESTINATION_UNREACHABLE && icmp.code === UnreachableCode.FRAGMENTATION_NEEDED)
      noteMtu(options, icmp.payloadOffset, icmp.payloadLength, icmp.sequence)
    return Fate.outer_noted
  }
}
