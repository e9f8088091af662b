/**
 * What the card does to a frame on its way out: VLAN tag, checksums, segmentation (82599 §7.2.4, §7.2.5, §7.4.3).
 * Works on a copy of the whole frame; the fast path never comes here.
 */
import { FRAME_ROOM } from '../burst.ts'
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { fold, sumWords } from './checksum.ts'
import { crc32c } from './crc32.ts'
import { TYPE, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { type Context, newContext } from './tx-descriptor.ts'

/** TUCMD.L4T, and where the checksum is in each of these headers. */
const L4_UDP = 0
const L4_TCP = 1
const L4_SCTP = 2
const CHECKSUM_AT = [6, 16, 8, 0]
/** Largest packet a context may segment: 256 KiB (82599 §7.2.4.2). */
export const MAX_PACKET = 256 * 1024

/** The flags' 12 bits, in the low bits of this 16-bit word of the TCP header. */
const TCP_FLAGS = 12
const TCP_SEQUENCE = 4

/** What a data descriptor asks for. */
export class Offloads {
  readonly context: Context = newContext()
  ipChecksum = false
  l4Checksum = false
  insertVlan = false
  segment = false
  /** CC: the context's type of frame counts, whatever else is asked for. */
  byContext = false
  /** Legacy: where a checksum goes, 0 for none, and from where on it is summed. */
  sumAt = 0
  sumFrom = 0
}

export class Offloader {
  /** The frame gathered from its descriptors, then worked on. The caller fills it from offset 0. */
  readonly frame: Bytes = allocateBytes(MAX_PACKET + 64)
  readonly asked = new Offloads()
  /** EtherType of inserted tags: DMATXCTL.VT. */
  vlanType = 0x8100
  /** TCP flags that the first, middle and last segments keep: DTXTCPFLGL, DTXTCPFLGH. */
  flagsFirst = 0xff6
  flagsMiddle = 0xf76
  flagsLast = 0xf7f
  private readonly out: Bytes = allocateBytes(FRAME_ROOM + 64)
  /** Segmentation: bytes of headers, bytes of payload, payload per frame, and which segment is next. */
  private headerBytes = 0
  private payloadBytes = 0
  private next = 0
  private count = 0

  /** Prepares `length` bytes of `frame`. Returns how many frames come out of it, 0 if the request is impossible. */
  begin(length: number): number {
    const { asked } = this
    const { context } = asked
    this.next = 0
    this.count = 1
    this.headerBytes = length
    this.payloadBytes = 0
    if (!asked.segment) return length <= FRAME_ROOM - VLAN_TAG_BYTES ? 1 : 0
    const headers = context.macLength + context.ipLength + context.l4Length
    if (context.mss === 0 || headers >= length || headers + context.mss > FRAME_ROOM - VLAN_TAG_BYTES)
      return 0
    this.headerBytes = headers
    this.payloadBytes = length - headers
    this.count = Math.ceil(this.payloadBytes / context.mss)
    return this.count
  }

  /** Puts the next frame into `result()` and returns its length. */
  build(): number {
    const { asked, frame, out, headerBytes } = this
    const index = this.next++
    let length = headerBytes
    copyBytes(frame, 0, out, 0, headerBytes)
    if (asked.segment) {
      const { mss } = asked.context
      const payload = Math.min(mss, this.payloadBytes - index * mss)
      copyBytes(frame, headerBytes + index * mss, out, headerBytes, payload)
      length += payload
      this.fixHeaders(index, payload)
    }
    this.checksums(length)
    return asked.insertVlan ? this.insertTag(length) : length
  }

  result(): Bytes {
    return this.out
  }

  /** Lengths, identification, sequence number and flags of one segment (82599 §7.2.4.7). */
  private fixHeaders(index: number, payload: number): void {
    const { u8 } = this.out
    const { context } = this.asked
    const l3 = context.macLength
    const l4 = l3 + context.ipLength
    if (context.ipv4) {
      put16(u8, l3 + 2, context.ipLength + context.l4Length + payload)
      put16(u8, l3 + 4, get16(u8, l3 + 4) + index)
    } else put16(u8, l3 + 4, context.ipLength - 40 + context.l4Length + payload)
    if (context.l4Type === L4_UDP) {
      put16(u8, l4 + 4, context.l4Length + payload)
      return
    }
    const sequence =
      get16(u8, l4 + TCP_SEQUENCE) * 65536 + get16(u8, l4 + TCP_SEQUENCE + 2) + index * context.mss
    put16(u8, l4 + TCP_SEQUENCE, Math.floor(sequence / 65536))
    put16(u8, l4 + TCP_SEQUENCE + 2, sequence)
    const last = index === this.count - 1
    const mask = index === 0 ? (last ? 0xfff : this.flagsFirst) : last ? this.flagsLast : this.flagsMiddle
    put16(u8, l4 + TCP_FLAGS, get16(u8, l4 + TCP_FLAGS) & (0xf000 | mask))
  }

  /**
   * Checksums are sums over what the driver has left in their fields, as on the card (82599 §7.2.5). Drivers count on it:
   * IPLEN may reach over a tunnel's headers and the inner IP header; the outer field then starts with what cancels them.
   */
  private checksums(length: number): void {
    const { context, ipChecksum, l4Checksum, segment, sumAt, sumFrom } = this.asked
    if (sumAt > 0) this.putChecksum(sumAt, sumWords(this.out.u8, sumFrom, length - sumFrom))
    const l3 = context.macLength
    const l4 = l3 + context.ipLength
    if (ipChecksum && context.ipv4) this.putChecksum(l3 + 10, sumWords(this.out.u8, l3, context.ipLength))
    if (!l4Checksum) return
    const field = l4 + CHECKSUM_AT[context.l4Type]
    if (context.l4Type === L4_SCTP) putCrc(this.out.u8, field, crc32c(this.out.u8, l4, length - l4))
    else if (context.l4Type <= L4_TCP) {
      // The driver has put the pseudo header's sum there: with the length, or without it for segments (§7.2.4.6).
      const sum = sumWords(this.out.u8, l4, length - l4) + (segment ? length - l4 : 0)
      this.putChecksum(field, sum, context.l4Type === L4_UDP)
    }
  }

  /** UDP's checksum is never 0, which says that there is none (RFC 768). */
  private putChecksum(field: number, sum: number, udp = false): void {
    const checksum = ~fold(sum) & 0xffff
    put16(this.out.u8, field, checksum === 0 && udp ? 0xffff : checksum)
  }

  private insertTag(length: number): number {
    const { u8 } = this.out
    u8.copyWithin(TYPE + VLAN_TAG_BYTES, TYPE, length)
    put16(u8, TYPE, this.vlanType)
    put16(u8, TYPE + 2, this.asked.context.vlan)
    return length + VLAN_TAG_BYTES
  }
}

function get16(u8: Uint8Array, at: number): number {
  return (u8[at] << 8) | u8[at + 1]
}

function put16(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value >>> 8
  u8[at + 1] = value
}

/** SCTP sends the lowest byte of its CRC first (RFC 9260 appendix A). */
function putCrc(u8: Uint8Array, at: number, crc: number): void {
  for (let i = 0; i < 4; i++) u8[at + i] = crc >>> (8 * i)
}
