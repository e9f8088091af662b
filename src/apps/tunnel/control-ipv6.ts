/** The outer side as a host of IPv6: neighbour discovery (RFC 4861), echo, and "packet too big" (RFC 8201). */
import { read32 } from '../../packet/big-endian.ts'
import { EthernetFrame, EtherType } from '../../packet/ethernet.ts'
import { IcmpMessage } from '../../packet/icmp.ts'
import { answerEcho6, Icmpv6Type } from '../../packet/icmpv6.ts'
import { IpProtocol } from '../../packet/ipv4.ts'
import { IPV6_BYTES, Ipv6Packet } from '../../packet/ipv6.ts'
import {
  groupMac,
  NEIGHBOUR_BYTES,
  NEIGHBOUR_HOP_LIMIT,
  NeighbourMessage,
  solicitedNode,
} from '../../packet/neighbour.ts'
import { type Control, type ControlOptions, noteMtu } from './control.ts'
import { Fate } from './fates.ts'
import { layoutOf } from './job.ts'
import { writeAdvertisement } from '../../packet/advertisement.ts'

const IP_BYTES = 40
const MTU = 4

export class Ipv6Control implements Control {
  private readonly options: ControlOptions
  private readonly header: number
  private readonly frame = new EthernetFrame()
  private readonly ip = new Ipv6Packet()
  private readonly icmp = new IcmpMessage()
  private readonly message = new NeighbourMessage()
  private readonly mac = new Uint8Array(6)
  private readonly address = new Uint8Array(IPV6_BYTES)

  constructor(options: ControlOptions) {
    this.options = options
    this.header = layoutOf(options.job).ethernet
  }

  handle(id: number): number {
    const { frame, ip, icmp, header, options } = this
    frame.wrapPacket(options.memory, id)
    const { u8, offset, length } = frame
    const type = (u8[offset + header - 2] << 8) | u8[offset + header - 1]
    if (type !== EtherType.IPV6) return Fate.other_protocol
    if (!ip.wrap(u8, offset + header, length - header)) return Fate.bad_ip
    const toUs = ip.destinationIs(options.job.local) && frame.destinationIs(options.job.mac)
    if (ip.nextHeader !== IpProtocol.ICMPV6) return toUs ? Fate.other_protocol : Fate.other_host
    if (!icmp.wrap(u8, ip.payloadOffset, ip.payloadLength) || !icmp.checksumOk(ip)) return Fate.bad_checksum
    if (icmp.type === Icmpv6Type.NEIGHBOUR_SOLICITATION) return this.handleSolicitation(id)
    if (icmp.type === Icmpv6Type.NEIGHBOUR_ADVERTISEMENT) return this.handleAdvertisement()
    if (!toUs) return Fate.other_host
    if (answerEcho6(ip, icmp)) {
      frame.swapAddresses()
      options.send(id)
      return Fate.outer_answered
    }
    // Its upper half is 0, or the path carries more than any link of ours.
    const mtu = read32(u8, icmp.offset + MTU)
    if (icmp.type === Icmpv6Type.PACKET_TOO_BIG && mtu >= 0)
      noteMtu(options, icmp.payloadOffset, icmp.payloadLength, mtu)
    return Fate.outer_noted
  }

  ask(hop: number): void {
    const { options, header, ip, icmp, message } = this
    const { memory, job } = options
    const group = solicitedNode(job.hops[hop])
    const length = header + IP_BYTES + NEIGHBOUR_BYTES
    const id = options.compose(length, EtherType.IPV6, groupMac(group))
    if (id < 0) return
    ip.create(memory.u8, memory.dataOffset(id) + header, IP_BYTES + NEIGHBOUR_BYTES)
    ip.nextHeader = IpProtocol.ICMPV6
    ip.hopLimit = NEIGHBOUR_HOP_LIMIT
    ip.setSource(job.local)
    ip.setDestination(group)
    message.ask(memory.u8, ip.payloadOffset, ip.payloadLength, job.mac, job.hops[hop])
    icmp.wrap(memory.u8, ip.payloadOffset, ip.payloadLength)
    icmp.fillChecksum(ip)
    options.send(id)
  }

  private handleSolicitation(id: number): number {
    const { ip, icmp, message, frame, mac, address, options } = this
    const { job } = options
    if (ip.hopLimit !== NEIGHBOUR_HOP_LIMIT || icmp.code !== 0) return Fate.bad_ip
    if (!message.wrap(ip.u8, ip.payloadOffset, ip.payloadLength)) return Fate.bad_ip
    ip.copySource(address)
    if (message.copyMac(mac)) this.learn(address)
    else frame.copySource(mac)
    if (!message.targetIs(job.local) || (mac[0] & 1) !== 0) return Fate.other_host
    frame.setDestination(mac)
    frame.setSource(job.mac)
    options.memory.size[id] = this.header + writeAdvertisement(ip, icmp, message, address, job.mac, job.local)
    options.send(id)
    return Fate.outer_answered
  }

  private handleAdvertisement(): number {
    const { ip, icmp, message, address, mac } = this
    if (ip.hopLimit !== NEIGHBOUR_HOP_LIMIT || icmp.code !== 0) return Fate.bad_ip
    if (!message.wrap(ip.u8, ip.payloadOffset, ip.payloadLength)) return Fate.bad_ip
    message.copyTarget(address)
    return message.copyMac(mac) && this.learn(address) ? Fate.outer_noted : Fate.other_host
  }

  /** `mac` is that of `address`. True: it is a next hop's. */
  private learn(address: Uint8Array): boolean {
    const { mac, options } = this
    const hop = options.job.hops.findIndex((other) => other.every((byte, i) => byte === address[i]))
    if (hop < 0 || (mac[0] & 1) !== 0) return false
    options.underlay.learn(hop, mac)
    return true
  }
}
