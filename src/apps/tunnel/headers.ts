/** The outer headers of each network, ready but for what differs from packet to packet. */
import { addToSum } from '../../packet/checksum.ts'
import { EthernetFrame, EtherType } from '../../packet/ethernet.ts'
import { GenevePacket } from '../../packet/geneve.ts'
import { IpProtocol, Ipv4Packet } from '../../packet/ipv4.ts'
import { Ipv6Packet } from '../../packet/ipv6.ts'
import { HEADER_BYTES as UDP_BYTES, UdpDatagram } from '../../packet/udp.ts'
import { VlanTag } from '../../packet/vlan.ts'
import { VxlanPacket } from '../../packet/vxlan.ts'
import { type Layout, type Network, type TunnelJob, layoutOf } from './job.ts'
import type { Underlay } from './underlay.ts'

/** Tables by networks that the encapsulating loops read; `refresh` writes them. */
export class Headers {
  readonly layout: Layout
  /** Bytes from the headers of one network to those of the next: whole 32-bit words. */
  readonly stride: number
  readonly u8: Uint8Array
  readonly u32: Uint32Array
  /** Sum of the IPv4 header, or of the UDP pseudo header without its length, not folded. */
  readonly ipSums: Int32Array
  readonly pseudoSums: Int32Array
  /** 1: the next hop's MAC address is in the headers. */
  readonly ready: Uint8Array
  /** Longest frame, headers included. */
  readonly longest: Int32Array
  private readonly job: TunnelJob
  private readonly underlay: Underlay

  constructor(job: TunnelJob, underlay: Underlay) {
    const { networks, mtu } = job
    this.job = job
    this.underlay = underlay
    this.layout = layoutOf(job)
    this.stride = (this.layout.all + 3) & ~3
    this.u8 = new Uint8Array(networks.length * this.stride)
    this.u32 = new Uint32Array(this.u8.buffer)
    this.ipSums = new Int32Array(networks.length)
    this.pseudoSums = new Int32Array(networks.length)
    this.ready = new Uint8Array(networks.length)
    this.longest = new Int32Array(networks.length).fill(this.layout.ethernet + mtu)
    networks.forEach((network, i) => this.write(network, i))
  }

  /** Takes over what is known of next hops and paths by now. */
  refresh(): void {
    const { job, underlay, layout, u8, stride } = this
    job.networks.forEach(({ hop }, i) => {
      this.ready[i] = underlay.copyMac(hop, u8, i * stride) ? 1 : 0
      this.longest[i] = layout.ethernet + underlay.mtuOf(i)
    })
  }

  private write({ remote, vni }: Network, i: number): void {
    const { u8, stride, layout, job } = this
    const at = i * stride
    const frame = new EthernetFrame()
    frame.wrap(u8, at, layout.all)
    frame.setSource(job.mac)
    const type = job.local.length === 4 ? EtherType.IPV4 : EtherType.IPV6
    frame.type = type
    if (job.vlan !== null) {
      const tag = new VlanTag()
      frame.type = EtherType.VLAN
      tag.wrap(u8, frame.payloadOffset, frame.payloadLength)
      tag.id = job.vlan
      tag.type = type
    }
    const udpAt = at + layout.ethernet + layout.ip
    if (type === EtherType.IPV4) this.writeIpv4(i, remote)
    else this.writeIpv6(i, remote)
    new UdpDatagram().create(u8, udpAt, UDP_BYTES)
    u8[udpAt + 2] = job.port >> 8
    u8[udpAt + 3] = job.port
    if (job.encapsulation === 'vxlan') new VxlanPacket().create(u8, udpAt + UDP_BYTES, layout.tunnel, vni)
    if (job.encapsulation === 'geneve') new GenevePacket().create(u8, udpAt + UDP_BYTES, layout.tunnel, vni)
  }

  private writeIpv4(i: number, remote: Uint8Array): void {
    const { job, layout, u8 } = this
    const ip = new Ipv4Packet()
    const at = i * this.stride + layout.ethernet
    ip.create(u8, at, layout.all - layout.ethernet)
    u8.set(job.local, at + 12)
    u8.set(remote, at + 16)
    ip.timeToLive = job.ttl
    ip.trafficClass = (job.dscp ?? 0) << 2
    ip.dontFragment = true
    ip.protocol = IpProtocol.UDP
    u8.fill(0, at + 2, at + 4)
    this.ipSums[i] = addToSum(0, u8, at, layout.ip)
    this.pseudoSums[i] = ip.sumPseudoHeader(IpProtocol.UDP, 0)
  }

  private writeIpv6(i: number, remote: Uint8Array): void {
    const { job, layout, u8 } = this
    const ip = new Ipv6Packet()
    ip.create(u8, i * this.stride + layout.ethernet, layout.all - layout.ethernet)
    ip.setSource(job.local)
    ip.setDestination(remote)
    ip.hopLimit = job.ttl
    ip.trafficClass = (job.dscp ?? 0) << 2
    ip.nextHeader = IpProtocol.UDP
    this.pseudoSums[i] = ip.sumPseudoHeader(IpProtocol.UDP, 0)
  }
}
