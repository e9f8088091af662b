/** Out of the tunnel: checks a packet of the outer side from header to header, and gives what is behind them to the inner side. */
import { sumWords, type Words } from '../../packet/checksum.ts'
import { ECN_AFTER_TUNNEL } from '../../packet/ecn.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { specialise } from '../../specialise.ts'
import { Fate } from './fates.ts'
import { type TunnelJob, layoutOf } from './job.ts'
import { type Deliver, makeDeliver } from './deliver.ts'

/** A packet for this end itself, or that may be: not of the tunnel. */
export const CONTROL = -1

/** Makes of packet `id`, where it lies, what it carries, and returns `decapsulated`; else its fate, or CONTROL, and the packet is what it was. */
export type Leave = (id: number) => number

export function makeLeave(memory: PacketMemory, words: Words, job: TunnelJob, hosts: Uint8Array): Leave {
  const { encapsulation, networks, local, mac, vlan, port, port6, udpChecksum } = job
  const deliver = makeDeliver(memory, words, job, hosts, ECN_AFTER_TUNNEL)
  const { ethernet } = layoutOf(job)
  const settings = {
    ...Fate,
    CONTROL,
    ipv4: local.length === 4,
    ethernet,
    vlan: vlan ?? -1,
    port,
    port6: port6 ?? -1,
    udpChecksum,
    encapsulation,
    mac: new Uint16Array(mac.slice().buffer),
    local: new Uint16Array(local.slice().buffer),
    remotes: new Uint16Array(Uint8Array.from(networks.flatMap(({ remote }) => [...remote])).buffer),
    vnis: new Map(networks.map(({ vni }, i) => [vni, i])),
    sumWords,
  }
  return specialise(leaver)(memory, words, deliver, settings)
}

type Names =
  | 'other_host'
  | 'other_protocol'
  | 'bad_ip'
  | 'fragment'
  | 'bad_udp'
  | 'bad_checksum'
  | 'no_checksum'
  | 'bad_header'
  | 'critical_option'
  | 'unknown_network'
  | 'unknown_remote'

interface Settings extends Readonly<Record<Names, number>> {
  readonly CONTROL: number
  readonly ipv4: boolean
  readonly ethernet: number
  readonly vlan: number
  readonly port: number
  readonly port6: number
  readonly udpChecksum: boolean
  readonly encapsulation: TunnelJob['encapsulation']
  readonly mac: Uint16Array
  readonly local: Uint16Array
  /** Addresses of the remote ends, by networks. */
  readonly remotes: Uint16Array
  readonly vnis: ReadonlyMap<number, number>
  readonly sumWords: (words: Words, offset: number, length: number) => number
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each worker. */
function leaver(memory: PacketMemory, words: Words, deliver: Deliver, settings: Settings): Leave {
  const { size } = memory
  const { u8, u16 } = words
  const { CONTROL, ipv4, ethernet, vlan, port, port6, udpChecksum, encapsulation, sumWords } = settings
  const { mac, local, remotes, vnis } = settings
  const { other_host, other_protocol, bad_ip, fragment, bad_udp, bad_checksum, no_checksum } = settings
  const { bad_header, critical_option, unknown_network, unknown_remote } = settings
  const addressHalves = ipv4 ? 2 : 8
  const ipType = ipv4 ? 0x0800 : 0x86dd
  const networks = (remotes.length / addressHalves) | 0
  /** What is in the IP packets: where it starts, and its end. */
  const tunnelled = encapsulation !== 'fou'

  function leave(id: number): number {
    const start = memory.dataOffset(id)
    const end = (start + size[id]) | 0
    if (end - start < ethernet) return other_protocol
    const half = start >> 1
    const toUs = u16[half] === mac[0] && u16[half + 1] === mac[1] && u16[half + 2] === mac[2]
    if (!toUs && (u8[start] & 1) === 0) return other_host
    let type = (u8[start + 12] << 8) | u8[start + 13]
    if (vlan >= 0) {
      if (type !== 0x8100 || (((u8[start + 14] << 8) | u8[start + 15]) & 0xfff) !== vlan) return other_host
      type = (u8[start + 16] << 8) | u8[start + 17]
    } else if (type === 0x8100) return other_host
    // Questions for our address go to a group, or to all.
    if (!toUs || type !== ipType) return CONTROL
    const at = (start + ethernet) | 0
    return ipv4 ? leaveIpv4(id, at, (end - at) | 0) : leaveIpv6(id, at, (end - at) | 0)
  }

  function leaveIpv4(id: number, at: number, left: number): number {
    const headerBytes = (u8[at] & 0xf) << 2
    const length = (u8[at + 2] << 8) | u8[at + 3]
    if (left < 20 || u8[at] >> 4 !== 4 || headerBytes < 20 || length < headerBytes || length > left)
      return bad_ip
    if (sumWords(words, at, headerBytes) !== 0xffff) return bad_ip
    if (u16[(at + 16) >> 1] !== local[0] || u16[(at + 18) >> 1] !== local[1]) return other_host
    if ((((u8[at + 6] << 8) | u8[at + 7]) & 0x3fff) !== 0) return fragment
    if (u8[at + 9] !== 17) return CONTROL
    return leaveUdp(id, (at + headerBytes) | 0, (length - headerBytes) | 0, (at + 12) | 0, u8[at + 1])
  }

  function leaveIpv6(id: number, at: number, left: number): number {
    const length = (u8[at + 4] << 8) | u8[at + 5]
    if (left < 40 || u8[at] >> 4 !== 6 || length + 40 > left) return bad_ip
    // Neighbours ask for us at a group's IP address, but also at ours: that is for CONTROL to see.
    if (u8[at + 6] === 44) return fragment
    if (u8[at + 6] !== 17) return CONTROL
    for (let i = 0; i < 8; i++) if (u16[((at + 24) >> 1) + i] !== local[i]) return other_host
    const trafficClass = ((u8[at] & 0xf) << 4) | (u8[at + 1] >> 4)
    return leaveUdp(id, (at + 40) | 0, length, (at + 8) | 0, trafficClass)
  }

  function leaveUdp(id: number, at: number, left: number, source: number, trafficClass: number): number {
    const length = (u8[at + 4] << 8) | u8[at + 5]
    if (left < 8 || length < 8 || length > left) return bad_udp
    const to = (u8[at + 2] << 8) | u8[at + 3]
    if (to !== port && to !== port6) return other_protocol
    if (u16[(at + 6) >> 1] !== 0) {
      const pseudo = (sumWords(words, source, addressHalves << 2) + 17 + length) | 0
      const sum = (pseudo + sumWords(words, at, length)) | 0
      if (sum % 0xffff !== 0) return bad_checksum
    } else if (udpChecksum && !ipv4) return no_checksum
    return tunnelled
      ? leaveTunnel(id, (at + 8) | 0, (length - 8) | 0, source, trafficClass)
      : leaveFou(id, (at + 8) | 0, (length - 8) | 0, source, trafficClass, to === port ? 4 : 6)
  }

  function leaveTunnel(id: number, at: number, left: number, source: number, trafficClass: number): number {
    if (left < 8) return bad_header
    let headerBytes = 8
    if (encapsulation === 'vxlan') {
      if ((u8[at] & 0x08) === 0) return bad_header
    } else {
      headerBytes = 8 + ((u8[at] & 0x3f) << 2)
      // Another version, a message for this end itself, or no frame.
      const known =
        u8[at] >> 6 === 0 && (u8[at + 1] & 0x80) === 0 && u8[at + 2] === 0x65 && u8[at + 3] === 0x58
      if (!known || headerBytes > left) return bad_header
      if ((u8[at + 1] & 0x40) !== 0) return critical_option
    }
    const network = vnis.get((u8[at + 4] << 16) | (u8[at + 5] << 8) | u8[at + 6])
    if (network === undefined) return unknown_network
    if (!isFrom(source, network)) return unknown_remote
    return deliver(id, (at + headerBytes) | 0, (left - headerBytes) | 0, network, trafficClass)
  }

  function leaveFou(
    id: number,
    at: number,
    left: number,
    source: number,
    trafficClass: number,
    version: number,
  ): number {
    if (left < 20 || u8[at] >> 4 !== version) return bad_header
    for (let network = 0; network < networks; network++) {
      if (isFrom(source, network)) return deliver(id, at, left, network, trafficClass)
    }
    return unknown_remote
  }

  function isFrom(source: number, network: number): boolean {
    const half = source >> 1
    const remote = Math.imul(network, addressHalves)
    for (let i = 0; i < addressHalves; i++) if (u16[half + i] !== remotes[remote + i]) return false
    return true
  }

  return leave
}
