/** Answers for addresses of its own: ARP (RFC 826), neighbour solicitation (RFC 4861), ping. */
import type { PacketMemory } from '../../memory/packets.ts'
import { writeAdvertisement } from '../../packet/advertisement.ts'
import { ArpOperation, ArpPacket } from '../../packet/arp.ts'
import { read16, read32 } from '../../packet/big-endian.ts'
import {
  EthernetFrame,
  EtherType,
  HEADER_BYTES,
  isVlanTag,
  MAX_VLAN_TAGS,
  TYPE,
  VLAN_TAG_BYTES,
} from '../../packet/ethernet.ts'
import { answerEcho, IcmpMessage } from '../../packet/icmp.ts'
import { answerEcho6, Icmpv6Type } from '../../packet/icmpv6.ts'
import { IpProtocol, Ipv4Packet } from '../../packet/ipv4.ts'
import { DESTINATION as IPV6_DESTINATION, IPV6_BYTES, Ipv6Packet } from '../../packet/ipv6.ts'
import { MAC_BYTES } from '../../packet/mac.ts'
import { NEIGHBOUR_HOP_LIMIT, NeighbourMessage } from '../../packet/neighbour.ts'
import type { AddressRange } from './templates/range.ts'

/** Where a solicitation has the address that is asked for. */
const TARGET = 8

/** Answers given, by what was asked. */
export interface Answered {
  readonly arp: number
  readonly neighbour: number
  readonly ping: number
}

export const NOT_ANSWERED: Answered = { arp: 0, neighbour: 0, ping: 0 }

export interface AnswerJob {
  readonly mac: Uint8Array
  readonly addresses: readonly AddressRange[]
}

export class Answerer {
  private readonly memory: PacketMemory
  private readonly job: AnswerJob
  private arpAnswers = 0
  private neighbourAnswers = 0
  private pingAnswers = 0
  private readonly frame = new EthernetFrame()
  private readonly arp = new ArpPacket()
  private readonly ip = new Ipv4Packet()
  private readonly ip6 = new Ipv6Packet()
  private readonly icmp = new IcmpMessage()
  private readonly message = new NeighbourMessage()
  private readonly target = new Uint8Array(IPV6_BYTES)
  private readonly asker = new Uint8Array(IPV6_BYTES)
  private readonly mac = new Uint8Array(MAC_BYTES)

  constructor(memory: PacketMemory, job: AnswerJob) {
    this.memory = memory
    this.job = job
  }

  get answered(): Answered {
    return { arp: this.arpAnswers, neighbour: this.neighbourAnswers, ping: this.pingAnswers }
  }

  /**
   * Makes answers of those of the first `count` packets of `ids` that ask for one, `most` at most, and puts them in front. Returns how
   * many there are: they are ready to be transmitted.
   */
  answer(ids: Int32Array, count: number, most: number): number {
    let answers = 0
    for (let i = 0; i < count && answers < most; i++) {
      const id = ids[i]
      if (!this.answerOne(id)) continue
      ids[i] = ids[answers]
      ids[answers++] = id
    }
    return answers
  }

  private answerOne(id: number): boolean {
    const { frame, memory } = this
    if (!frame.wrapPacket(memory, id)) return false
    const { u8, offset, length } = frame
    let header = HEADER_BYTES
    let type = read16(u8, offset + TYPE)
    for (let tags = 0; tags < MAX_VLAN_TAGS && isVlanTag(type) && header + VLAN_TAG_BYTES <= length; tags++) {
      header += VLAN_TAG_BYTES
      type = read16(u8, offset + header - 2)
    }
    const at = offset + header
    if (type === EtherType.ARP) return this.answerArp(at, length - header)
    if (type === EtherType.IPV4) return this.answerPing(at, length - header)
    return type === EtherType.IPV6 && this.answerIpv6(id, at, length - header)
  }

  private answerArp(at: number, length: number): boolean {
    const { arp, frame, job } = this
    if (!arp.wrap(frame.u8, at, length) || arp.operation !== ArpOperation.REQUEST) return false
    arp.copySenderMac(this.mac)
    if (!isIpv4Of(job, arp.targetIp) || (this.mac[0] & 1) !== 0) return false
    arp.answer(job.mac)
    frame.setDestination(this.mac)
    frame.setSource(job.mac)
    this.arpAnswers++
    return true
  }

  private answerPing(at: number, length: number): boolean {
    const { ip, icmp, frame, job } = this
    if (!ip.wrap(frame.u8, at, length) || ip.protocol !== IpProtocol.ICMP) return false
    if (!frame.destinationIs(job.mac) || !isIpv4Of(job, ip.destination) || !answerEcho(ip, icmp)) return false
    frame.swapAddresses()
    this.pingAnswers++
    return true
  }

  private answerIpv6(id: number, at: number, length: number): boolean {
    const { ip6, icmp, frame, job } = this
    const { u8 } = frame
    if (!ip6.wrap(u8, at, length) || ip6.nextHeader !== IpProtocol.ICMPV6) return false
    if (!icmp.wrap(u8, ip6.payloadOffset, ip6.payloadLength)) return false
    if (icmp.type === Icmpv6Type.NEIGHBOUR_SOLICITATION) return this.answerSolicitation(id, at)
    const toUs = frame.destinationIs(job.mac) && isIpv6Of(job, u8, ip6.offset + IPV6_DESTINATION)
    if (!toUs || !answerEcho6(ip6, icmp)) return false
    frame.swapAddresses()
    this.pingAnswers++
    return true
  }

  private answerSolicitation(id: number, at: number): boolean {
    const { ip6, icmp, message, frame, job, target, asker, mac, memory } = this
    if (ip6.hopLimit !== NEIGHBOUR_HOP_LIMIT || icmp.code !== 0 || !icmp.checksumOk(ip6)) return false
    if (!message.wrap(ip6.u8, ip6.payloadOffset, ip6.payloadLength)) return false
    if (!isIpv6Of(job, message.u8, message.offset + TARGET)) return false
    message.copyTarget(target)
    ip6.copySource(asker)
    if (!message.copyMac(mac)) frame.copySource(mac)
    if ((mac[0] & 1) !== 0) return false
    frame.setDestination(mac)
    frame.setSource(job.mac)
    memory.size[id] = at - frame.offset + writeAdvertisement(ip6, icmp, message, asker, job.mac, target)
    this.neighbourAnswers++
    return true
  }
}

function isIpv4Of({ addresses }: AnswerJob, address: number): boolean {
  for (const { first, count } of addresses)
    if (first.length === 4 && (address - read32(first, 0)) >>> 0 < count) return true
  return false
}

/** The address at `u8[at…]` is one of the job's. */
function isIpv6Of({ addresses }: AnswerJob, u8: Uint8Array, at: number): boolean {
  for (const { first, count } of addresses) {
    let alike = first.length === IPV6_BYTES
    for (let i = 0; i < 12 && alike; i++) alike = u8[at + i] === first[i]
    if (alike && (read32(u8, at + 12) - read32(first, 12)) >>> 0 < count) return true
  }
  return false
}
