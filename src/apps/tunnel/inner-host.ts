/** The inner side: tells senders that a packet is too big; and for IP without Ethernet, answers as if it were everybody behind the tunnel. */
import { ArpOperation, ArpPacket } from '../../packet/arp.ts'
import { EthernetFrame, EtherType, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { IcmpMessage, IcmpType, UnreachableCode, writeIcmpError } from '../../packet/icmp.ts'
import { Icmpv6Type, writePacketTooBig } from '../../packet/icmpv6.ts'
import { IpProtocol, Ipv4Packet } from '../../packet/ipv4.ts'
import { IPV6_BYTES, Ipv6Packet } from '../../packet/ipv6.ts'
import { NEIGHBOUR_HOP_LIMIT, NeighbourMessage } from '../../packet/neighbour.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { writeAdvertisement } from '../../packet/advertisement.ts'
import { Fate } from './fates.ts'
import { innerMtu, type TunnelJob } from './job.ts'
import type { Underlay } from './underlay.ts'

/** Errors a second, at most: nobody needs more of them to learn (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f). */
const ERRORS_PER_SECOND = 100

export interface InnerHostOptions {
  readonly memory: PacketMemory
  readonly job: TunnelJob
  readonly underlay: Underlay
  /** Takes packet `id`, which is ready to be transmitted. */
  readonly send: (id: number) => void
}

export class InnerHost {
  private readonly options: InnerHostOptions
  private readonly frame = new EthernetFrame()
  private readonly arp = new ArpPacket()
  private readonly ip = new Ipv4Packet()
  private readonly ip6 = new Ipv6Packet()
  private readonly icmp = new IcmpMessage()
  private readonly message = new NeighbourMessage()
  private readonly mac = new Uint8Array(6)
  private readonly address = new Uint8Array(IPV6_BYTES)
  private readonly target = new Uint8Array(IPV6_BYTES)
  private errors = ERRORS_PER_SECOND

  constructor(options: InnerHostOptions) {
    this.options = options
  }

  /** To be called once a second. */
  everySecond(): void {
    this.errors = ERRORS_PER_SECOND
  }

  /**
   * Tells the sender of packet `id` how large its packets may be; the answer comes from whom it was for, as this end has no
   * address inside. True: the packet is the answer now, and sent.
   */
  tellTooBig(id: number): boolean {
    const { frame, ip, ip6, icmp, options, target } = this
    const { memory, job } = options
    if (this.errors === 0 || !frame.wrapPacket(memory, id) || frame.toGroup) return false
    const { u8, offset, length } = frame
    const header = this.headerBytes()
    const type = (u8[offset + header - 2] << 8) | u8[offset + header - 1]
    const network = this.networkOf()
    // A tag that goes with the frame takes its share.
    const tag =
      header > 14 && job.encapsulation !== 'fou' && job.networks[network].vlan === null ? VLAN_TAG_BYTES : 0
    const mtu = innerMtu(job, options.underlay.mtuOf(network)) - tag
    if (type === EtherType.IPV4 && ip.wrap(u8, offset + header, length - header)) {
      const { FRAGMENTATION_NEEDED } = UnreachableCode
      const { destination } = ip
      if (
        !writeIcmpError(
          memory,
          id,
          ip,
          icmp,
          destination,
          IcmpType.DESTINATION_UNREACHABLE,
          FRAGMENTATION_NEEDED,
        )
      )
        return false
      icmp.sequence = mtu
      icmp.updateChecksum(0, mtu)
    } else if (type === EtherType.IPV6 && ip6.wrap(u8, offset + header, length - header)) {
      ip6.copyDestination(target)
      if (!writePacketTooBig(memory, id, ip6, icmp, target, mtu)) return false
    } else return false
    frame.swapAddresses()
    this.errors--
    options.send(id)
    return true
  }

  /**
   * fou: answers packet `id`, if it asks for the MAC address of whomever, and notes who asks. Returns its fate; it is still the
   * caller's unless that is `inner_answered`.
   */
  answer(id: number): number {
    const { frame, options } = this
    if (!frame.wrapPacket(options.memory, id)) return Fate.inner_malformed
    const { u8, offset, length } = frame
    const header = this.headerBytes()
    const type = (u8[offset + header - 2] << 8) | u8[offset + header - 1]
    const network = this.networkOf()
    if (network < 0 || frame.sourceIs(options.job.innerMac)) return Fate.inner_ignored
    if (type === EtherType.ARP) return this.answerArp(id, offset + header, length - header, network)
    if (type === EtherType.IPV6 && options.job.port6 !== null)
      return this.answerSolicitation(id, offset + header, length - header, header, network)
    return Fate.inner_ignored
  }

  private answerArp(id: number, at: number, length: number, network: number): number {
    const { arp, frame, mac, options } = this
    const { job, underlay } = options
    if (!arp.wrap(frame.u8, at, length)) return Fate.inner_ignored
    const { senderIp, targetIp } = arp
    arp.copySenderMac(mac)
    if ((mac[0] & 1) !== 0) return Fate.inner_ignored
    underlay.learn(underlay.hostOf(network), mac)
    // Whether somebody has the host's own address: nobody has (RFC 5227).
    if (arp.operation !== ArpOperation.REQUEST || senderIp === 0 || senderIp === targetIp)
      return Fate.inner_ignored
    arp.answer(job.innerMac)
    frame.setDestination(mac)
    frame.setSource(job.innerMac)
    options.send(id)
    return Fate.inner_answered
  }

  private answerSolicitation(
    id: number,
    at: number,
    length: number,
    header: number,
    network: number,
  ): number {
    const { ip6, icmp, message, frame, mac, address, target, options } = this
    const { job, underlay, memory } = options
    if (!ip6.wrap(frame.u8, at, length) || ip6.nextHeader !== IpProtocol.ICMPV6) return Fate.inner_ignored
    const asks =
      icmp.wrap(ip6.u8, ip6.payloadOffset, ip6.payloadLength) &&
      icmp.type === Icmpv6Type.NEIGHBOUR_SOLICITATION &&
      ip6.hopLimit === NEIGHBOUR_HOP_LIMIT &&
      icmp.checksumOk(ip6) &&
      message.wrap(ip6.u8, ip6.payloadOffset, ip6.payloadLength)
    if (!asks) return Fate.inner_ignored
    ip6.copySource(address)
    // Whether somebody has the host's own address: nobody has (RFC 4862 §5.4).
    if (address.every((byte) => byte === 0)) return Fate.inner_ignored
    if (!message.copyMac(mac)) frame.copySource(mac)
    if ((mac[0] & 1) !== 0) return Fate.inner_ignored
    underlay.learn(underlay.hostOf(network), mac)
    message.copyTarget(target)
    frame.setDestination(mac)
    frame.setSource(job.innerMac)
    memory.size[id] = header + writeAdvertisement(ip6, icmp, message, address, job.innerMac, target)
    options.send(id)
    return Fate.inner_answered
  }

  /** With a VLAN tag, if `frame` has one. */
  private headerBytes(): number {
    return this.frame.type === EtherType.VLAN && this.frame.payloadLength >= VLAN_TAG_BYTES ? 18 : 14
  }

  /** That `frame` belongs to; -1: none. */
  private networkOf(): number {
    const { frame, options } = this
    const { u8, payloadOffset } = frame
    const vlan = this.headerBytes() > 14 ? ((u8[payloadOffset] << 8) | u8[payloadOffset + 1]) & 0xfff : null
    const { networks } = options.job
    const own = vlan === null ? -1 : networks.findIndex((network) => network.vlan === vlan)
    return own >= 0 ? own : networks.findIndex((network) => network.vlan === null)
  }
}
