/** What a transmit ring asks of the card for a packet, and the contexts that say what the packet looks like. */
import { OffloadFlag, type PacketOffloads } from '../../memory/offloads.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { read16, write16 } from '../../packet/big-endian.ts'
import { EtherType, HEADER_BYTES, TYPE, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { TCP_CHECKSUM, exchange } from '../../packet/segmentation.ts'
import { closeChecksum, closeIpChecksum, putTagIn } from '../offload-work.ts'
import {
  TX_CONTEXT,
  TX_IDX,
  TX_IPV4,
  TX_IXSM,
  TX_PAYLEN_SHIFT,
  TX_TCP,
  TX_TSE,
  TX_TXSM,
  TX_VLE,
} from './descriptors.ts'

const { CHECKSUM_OPEN, IP_OPEN, VLAN } = OffloadFlag
const UDP_CHECKSUM = 6
/** The shortest IP header. */
const LEAST_IP = 20
/** What MACLEN and IPLEN have room for (82599 §7.2.3.2.3). */
const MOST_MACLEN = 127
const MOST_IPLEN = 511
/** Of a context: three words. A queue has two of them. */
const WORDS = 3
/** Not what a context begins with, whose MACLEN is 14 at least. */
const NONE = 0

export class Requests {
  /**
   * Of the last ask(): bits of word 2, and word 3, of the data descriptor, 0 if it is that of any packet; how many packets more, and
   * how many bytes more than the packet has, the card makes of it.
   */
  readonly words = new Int32Array(4)
  private readonly memory: PacketMemory
  private readonly offloads: PacketOffloads
  private readonly ring: Int32Array
  /** The contexts that the card has, and which of them was used last. */
  private readonly contexts = new Int32Array(2 * WORDS)
  private used = 0

  constructor(memory: PacketMemory, offloads: PacketOffloads, ring: ArrayBufferLike) {
    this.memory = memory
    this.offloads = offloads
    this.ring = new Int32Array(ring)
  }

  /** The queue is new: the card has no context. */
  forget(): void {
    this.contexts.fill(NONE)
  }

  /**
   * Sets `words` for packet `id`, which asks for something that can be done. Returns 1 if it has put a context into descriptor
   * `at`, else 0. With no `spare` descriptor for one, software does the work; that can't cut, so then it is -1, and nothing is
   * done.
   */
  ask(id: number, at: number, spare: number): number {
    const { words, memory, offloads } = this
    const { u8, size } = memory
    const frame = memory.dataOffset(id)
    const flags = offloads.flags[id]
    const start = offloads.checksumStart[id]
    const headers = offloads.headerBytes[id]
    // All of it in one packet: there is nothing to be cut.
    const segment = size[id] - headers > offloads.segment[id] ? offloads.segment[id] : 0
    const open = (flags & CHECKSUM_OPEN) !== 0
    let type = read16(u8, frame + TYPE)
    let network = HEADER_BYTES
    while (type === EtherType.VLAN || type === EtherType.SERVICE_VLAN) {
      network += VLAN_TAG_BYTES
      type = read16(u8, frame + network - 2)
    }
    const v4 = type === EtherType.IPV4
    const ip = v4 && (segment > 0 || (flags & IP_OPEN) !== 0)
    // IPLEN reaches to where the sum begins, whatever is in between (82599 §7.2.5).
    const header = ip ? (u8[frame + network] & 0xf) << 2 : 0
    const reach = open ? start - network : header
    const field = offloads.checksumOffset[id]
    const unusual = (open && (!isKnown(field) || reach < LEAST_IP)) || (ip && reach !== header)
    if (unusual || reach > MOST_IPLEN || network > MOST_MACLEN) return this.withoutCard(id)

    const tag = (flags & VLAN) !== 0 ? offloads.vlan[id] << 16 : 0
    const tcp = open && field === TCP_CHECKSUM ? TX_TCP : 0
    const contexts = this.useContext(
      at,
      spare,
      tag | (network << 9) | reach,
      TX_CONTEXT | tcp | (ip ? TX_IPV4 : 0),
      segment > 0 ? (segment << 16) | ((headers - start) << 8) : 0,
    )
    if (contexts < 0) return segment > 0 ? -1 : this.withoutCard(id)
    if (segment > 0) this.prepareCut(frame, network, start, size[id], v4)
    else if (ip) write16(u8, frame + network + 10, 0)
    words[0] = (segment > 0 ? TX_TSE : 0) | ((flags & VLAN) !== 0 ? TX_VLE : 0)
    const sums = (open ? TX_TXSM : 0) | (ip ? TX_IXSM : 0)
    const payload = segment > 0 ? size[id] - headers : size[id]
    const more = segment > 0 ? Math.ceil(payload / segment) - 1 : 0
    words[2] = more
    words[3] = more * headers + ((flags & VLAN) !== 0 ? (more + 1) * VLAN_TAG_BYTES : 0)
    words[1] = (payload << TX_PAYLEN_SHIFT) | sums | (this.used * TX_IDX)
    return contexts
  }

  /** 1: it is a new one, in descriptor `at`; -1: it would have to be. */
  private useContext(at: number, spare: number, first: number, second: number, third: number): number {
    const { contexts, used, ring } = this
    for (let i = 0; i < 2; i++) {
      const place = i * WORDS
      if (contexts[place] !== first || contexts[place + 1] !== second || contexts[place + 2] !== third)
        continue
      this.used = i
      return 0
    }
    if (spare === 0) return -1
    const place = (1 - used) * WORDS
    this.used = 1 - used
    contexts[place] = first
    contexts[place + 1] = second
    contexts[place + 2] = third
    ring[at << 2] = first
    ring[(at << 2) + 1] = 0
    ring[(at << 2) + 2] = second
    ring[(at << 2) + 3] = third | (this.used * TX_IDX)
    return 1
  }

  /** The card puts in lengths and the header's checksum, and takes a pseudo header without length (82599 §7.2.4.6, §7.2.4.7). */
  private prepareCut(frame: number, network: number, start: number, size: number, v4: boolean): void {
    const { u8 } = this.memory
    const ip = frame + network
    if (v4) {
      write16(u8, ip + 2, 0)
      write16(u8, ip + 10, 0)
    } else write16(u8, ip + 4, 0)
    const field = frame + start + TCP_CHECKSUM
    write16(u8, field, exchange(read16(u8, field), size - start, 0))
  }

  private withoutCard(id: number): number {
    const { memory, offloads, words } = this
    putTagIn(memory, offloads, id)
    closeChecksum(memory, offloads, id)
    closeIpChecksum(memory, offloads, id)
    words.fill(0)
    return 0
  }
}

function isKnown(checksumOffset: number): boolean {
  return checksumOffset === TCP_CHECKSUM || checksumOffset === UDP_CHECKSUM
}
