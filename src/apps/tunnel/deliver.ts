/** The last step out of the tunnel: congestion marks, the inner VLAN tag, and the move to where a packet begins. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { Words } from '../../packet/checksum.ts'
import { specialise } from '../../specialise.ts'
import { Fate } from './fates.ts'
import type { TunnelJob } from './job.ts'

/**
 * Makes of packet `id` the `bytes` bytes at `from`, which it carries for `network`, and returns `decapsulated`, or its fate.
 * `outerClass`: the outer traffic class.
 */
export type Deliver = (id: number, from: number, bytes: number, network: number, outerClass: number) => number

/** `hosts`: MAC addresses of the hosts at the inner side by networks, for IP without Ethernet; may change. `ecn`: see ECN_AFTER_TUNNEL. */
export function makeDeliver(
  memory: PacketMemory,
  words: Words,
  job: TunnelJob,
  hosts: Uint8Array,
  ecn: Uint8Array,
): Deliver {
  const vlans = Int16Array.from(job.networks, ({ vlan }) => vlan ?? -1)
  const frames = job.encapsulation !== 'fou'
  return specialise(deliverer)(memory, words, { ...Fate, vlans, frames, ecn, hosts, mac: job.innerMac })
}

interface Settings {
  readonly decapsulated: number
  readonly bad_payload: number
  readonly congested: number
  /** Tag that frames of each network get, -1: none. */
  readonly vlans: Int16Array
  /** What was carried are Ethernet frames. */
  readonly frames: boolean
  readonly ecn: Uint8Array
  readonly hosts: Uint8Array
  readonly mac: Uint8Array
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each worker. */
function deliverer(memory: PacketMemory, words: Words, settings: Settings): Deliver {
  const { size } = memory
  const { u8, i32 } = words
  const { decapsulated, bad_payload, congested, vlans, frames, ecn, hosts, mac } = settings

  function deliver(id: number, from: number, bytes: number, network: number, outerClass: number): number {
    const start = memory.dataOffset(id)
    return frames
      ? deliverFrame(id, start, from, bytes, vlans[network], outerClass & 3)
      : deliverIp(id, start, from, bytes, network, outerClass & 3)
  }

  function deliverFrame(
    id: number,
    start: number,
    from: number,
    bytes: number,
    vlan: number,
    outer: number,
  ): number {
    if (bytes < 14) return bad_payload
    let at = (from + 14) | 0
    let type = (u8[at - 2] << 8) | u8[at - 1]
    if (type === 0x8100 && bytes >= 18) {
      at = (at + 4) | 0
      type = (u8[at - 2] << 8) | u8[at - 1]
    }
    const left = (from + bytes - at) | 0
    const ip = type === 0x0800 ? left >= 20 : type === 0x86dd && left >= 40
    if (ip && !mark(at, type === 0x0800, outer)) return congested
    if (vlan < 0) {
      u8.copyWithin(start, from, (from + bytes) | 0)
      size[id] = bytes
      return decapsulated
    }
    u8.copyWithin((start + 4) | 0, from, (from + bytes) | 0)
    // The addresses move down, the tag comes behind them: packets begin at a multiple of 4.
    const word = start >> 2
    i32[word] = i32[word + 1]
    i32[word + 1] = i32[word + 2]
    i32[word + 2] = i32[word + 3]
    writeTag(start, vlan)
    size[id] = bytes + 4
    return decapsulated
  }

  function deliverIp(
    id: number,
    start: number,
    from: number,
    bytes: number,
    network: number,
    outer: number,
  ): number {
    const vlan = vlans[network]
    const to = Math.imul(network, 6)
    const ipv4 = u8[from] >> 4 === 4
    const headerBytes = ipv4 ? (u8[from] & 0xf) << 2 : 40
    const length = ipv4 ? (u8[from + 2] << 8) | u8[from + 3] : 40 + ((u8[from + 4] << 8) | u8[from + 5])
    if (headerBytes < 20 || length < headerBytes || length > bytes) return bad_payload
    if (!mark(from, ipv4, outer)) return congested
    const header = vlan < 0 ? 14 : 18
    u8.copyWithin((start + header) | 0, from, (from + length) | 0)
    for (let i = 0; i < 6; i++) {
      u8[start + i] = hosts[to + i]
      u8[start + 6 + i] = mac[i]
    }
    if (vlan >= 0) writeTag(start, vlan)
    u8[start + header - 2] = ipv4 ? 0x08 : 0x86
    u8[start + header - 1] = ipv4 ? 0x00 : 0xdd
    size[id] = header + length
    return decapsulated
  }

  function writeTag(start: number, vlan: number): void {
    u8[start + 12] = 0x81
    u8[start + 13] = 0
    u8[start + 14] = vlan >> 8
    u8[start + 15] = vlan
  }

  /** Gives the IP packet at `at` the congestion mark that it has to have now; false: it is to be dropped (RFC 6040). */
  function mark(at: number, ipv4: boolean, outer: number): boolean {
    if (outer === 0) return true
    const before = ipv4 ? u8[at + 1] & 3 : (u8[at + 1] >> 4) & 3
    const after = ecn[(before << 2) | outer]
    if (after === before) return true
    if (after > 3) return false
    if (!ipv4) {
      u8[at + 1] = (u8[at + 1] & 0xcf) | (after << 4)
      return true
    }
    u8[at + 1] = (u8[at + 1] & 0xfc) | after
    // RFC 1624, equation 3.
    const old = (u8[at + 10] << 8) | u8[at + 11]
    const sum = (~old & 0xffff) + (~before & 0xffff) + after
    const folded = (sum & 0xffff) + (sum >>> 16)
    const checksum = ~(folded + (folded >>> 16))
    u8[at + 10] = checksum >> 8
    u8[at + 11] = checksum
    return true
  }

  return deliver
}
