/** Into the tunnel: what a packet of the inner side is, where it goes, and whether it fits. */
import { sumWords, type Words } from '../../packet/checksum.ts'
import { hashFrame, hashIp } from '../../packet/flow-hash.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { specialise } from '../../specialise.ts'
import { Fate } from './fates.ts'
import type { Headers } from './headers.ts'
import type { TunnelJob } from './job.ts'
import { makeWrap, type Wrap } from './wrap.ts'

/** There are as many VLANs, and one entry for frames without a tag. */
const VLANS = 4096

/**
 * Encapsulates packet `id`, where it lies, and returns the number of its network. Less than 0: -1 less the fate that it has
 * (see Fate), and the packet is what it was.
 */
export type Enter = (id: number) => number

export function makeEnter(memory: PacketMemory, words: Words, headers: Headers, job: TunnelJob): Enter {
  const wrap = makeWrap(memory, words, headers, job, sumWords)
  const { networks, encapsulation, port, port6, innerMac } = job
  const rest = networks.findIndex(({ vlan }) => vlan === null)
  const byVlan = new Int16Array(VLANS).fill(rest)
  const stripped = new Uint8Array(VLANS)
  networks.forEach(({ vlan }, i) => {
    if (vlan === null) return
    byVlan[vlan] = i
    stripped[vlan] = 1
  })
  const common = { rest, byVlan, stripped, ...Fate }
  if (encapsulation !== 'fou')
    return specialise(ofFrames)(memory, words, headers, wrap, { ...common, port, hashFrame })
  const mac = new Uint16Array(innerMac.slice().buffer)
  return specialise(ofIp)(memory, words, headers, wrap, { ...common, port, port6: port6 ?? 0, mac, hashIp })
}

interface Common {
  /** Network of frames without a tag, or whose tag has none of its own: -1 if there is none. */
  readonly rest: number
  /** Network of each VLAN, and whether its tag is taken off. */
  readonly byVlan: Int16Array
  readonly stripped: Uint8Array
  readonly port: number
  readonly no_network: number
  readonly inner_malformed: number
  readonly inner_ignored: number
  readonly too_big: number
}

/* istanbul ignore next: counters would be foreign names in it */
/** Whole Ethernet frames. Specialised for each worker. */
function ofFrames(
  memory: PacketMemory,
  words: Words,
  { longest, layout }: Headers,
  wrap: Wrap,
  names: Common & { hashFrame(u8: Uint8Array, u16: Uint16Array, start: number, length: number): number },
): Enter {
  const { rest, byVlan, stripped, port, hashFrame, no_network, inner_malformed, too_big } = names
  const { size } = memory
  const { u8, u16, i32 } = words
  const { all } = layout

  function enter(id: number): number {
    let from = memory.dataOffset(id)
    let bytes = size[id]
    if (bytes < 14) return -1 - inner_malformed
    let type = (u8[from + 12] << 8) | u8[from + 13]
    let at = (from + 14) | 0
    let network = rest
    let tagged = 0
    if (type === 0x8100 && bytes >= 18) {
      const vlan = ((u8[from + 14] << 8) | u8[from + 15]) & 0xfff
      network = byVlan[vlan]
      tagged = stripped[vlan]
      type = (u8[from + 16] << 8) | u8[from + 17]
      at = (from + 18) | 0
    }
    if (network < 0) return -1 - no_network
    if (all + bytes - (tagged << 2) > longest[network]) return -1 - too_big
    const trafficClass = classOf(type, at, (from + bytes - at) | 0)
    const hash = hashFrame(u8, u16, from, bytes)
    if (tagged !== 0) {
      // The addresses move up to where the tag has been: packets begin at a multiple of 4.
      const word = from >> 2
      i32[word + 3] = i32[word + 2]
      i32[word + 2] = i32[word + 1]
      i32[word + 1] = i32[word]
      from += 4
      bytes -= 4
    }
    wrap(id, from, bytes, network, trafficClass, hash, port)
    return network
  }

  /** Traffic class of what is in a frame; 0 if that isn't IP. */
  function classOf(type: number, at: number, left: number): number {
    if (type === 0x0800 && left >= 20) return u8[at + 1]
    if (type === 0x86dd && left >= 40) return ((u8[at] & 0xf) << 4) | (u8[at + 1] >> 4)
    return 0
  }

  return enter
}

/* istanbul ignore next: counters would be foreign names in it */
/** IP packets that are addressed to this end, without their Ethernet headers. Specialised for each worker. */
function ofIp(
  memory: PacketMemory,
  words: Words,
  { longest, layout }: Headers,
  wrap: Wrap,
  names: Common & {
    readonly port6: number
    readonly mac: Uint16Array
    hashIp(u8: Uint8Array, u16: Uint16Array, at: number, left: number): number
  },
): Enter {
  const { rest, byVlan, port, port6, mac, hashIp, no_network, inner_malformed, inner_ignored, too_big } =
    names
  const { size } = memory
  const { u8, u16 } = words
  const { all } = layout

  function enter(id: number): number {
    const start = memory.dataOffset(id)
    const length = size[id]
    if (length < 14) return -1 - inner_malformed
    let type = (u8[start + 12] << 8) | u8[start + 13]
    let at = (start + 14) | 0
    let network = rest
    if (type === 0x8100 && length >= 18) {
      network = byVlan[((u8[start + 14] << 8) | u8[start + 15]) & 0xfff]
      type = (u8[start + 16] << 8) | u8[start + 17]
      at = (start + 18) | 0
    }
    const half = start >> 1
    const toUs = u16[half] === mac[0] && u16[half + 1] === mac[1] && u16[half + 2] === mac[2]
    if (!toUs || (type !== 0x0800 && (type !== 0x86dd || port6 === 0))) return -1 - inner_ignored
    if (network < 0) return -1 - no_network
    const left = (start + length - at) | 0
    const bytes = lengthOf(type, at, left)
    if (bytes < 0) return -1 - inner_malformed
    if (all + bytes > longest[network]) return -1 - too_big
    if (type === 0x0800) wrap(id, at, bytes, network, u8[at + 1], hashIp(u8, u16, at, bytes), port)
    else {
      // Questions for MAC addresses end here.
      if (u8[at + 6] === 58 && bytes > 40 && u8[at + 40] >= 133 && u8[at + 40] <= 137)
        return -1 - inner_ignored
      const trafficClass = ((u8[at] & 0xf) << 4) | (u8[at + 1] >> 4)
      wrap(id, at, bytes, network, trafficClass, hashIp(u8, u16, at, bytes), port6)
    }
    return network
  }

  /** Bytes of the IP packet, without what the frame was padded with; -1: it is none. */
  function lengthOf(type: number, at: number, left: number): number {
    if (type === 0x0800) {
      const headerBytes = (u8[at] & 0xf) << 2
      const bytes = (u8[at + 2] << 8) | u8[at + 3]
      return left >= 20 && u8[at] >> 4 === 4 && headerBytes >= 20 && bytes >= headerBytes && bytes <= left
        ? bytes
        : -1
    }
    const bytes = 40 + ((u8[at + 4] << 8) | u8[at + 5])
    return left >= 40 && u8[at] >> 4 === 6 && bytes <= left ? bytes : -1
  }

  return enter
}
