/** IPv6 packets (RFC 8200) and addresses. */
import { isIPv6 } from 'node:net'
import { IxyError } from '../errors.ts'
import { read16, read32, write16, write32 } from './big-endian.ts'
import { addToSum, type IpPacket } from './checksum.ts'
import { View } from './view.ts'

/** Version (4 bits), traffic class (8), flow label (20). */
const FIRST_WORD = 0
const PAYLOAD_LENGTH = 4
const NEXT_HEADER = 6
const HOP_LIMIT = 7
const SOURCE = 8
export const DESTINATION = 24
export const HEADER_BYTES = 40
const CLASS_SHIFT = 20
const CLASS_MASK = 0x0ff0_0000
const LABEL_MASK = 0x000f_ffff
const MAX_PAYLOAD_BYTES = 0xffff
const DEFAULT_HOP_LIMIT = 64

/** Bytes of an IPv6 address. */
export const IPV6_BYTES = 16

/**
 * A view of an IPv6 packet. Addresses are 16 bytes, see `parseIpv6()`: they are copied and compared, not returned. Extension
 * headers are payload.
 */
export class Ipv6Packet extends View implements IpPacket {
  /**
   * Aims at the payload of a frame, which may be longer than the packet (padding): `length` is the packet's afterwards.
   * False if that is no IPv6 packet: another version, a payload length that can't be.
   */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    const bytes = HEADER_BYTES + read16(u8, offset + PAYLOAD_LENGTH)
    if (u8[offset] >> 4 !== 6 || bytes > length) return this.miss()
    this.length = bytes
    return true
  }

  /**
   * Writes a header for a packet of `length` bytes (with header) and aims at it: hop limit 64, all else 0. False, and nothing
   * written, if the memory or `length` is too short, or the payload over 65535 bytes.
   */
  create(u8: Uint8Array, offset: number, length: number): boolean {
    if (length > HEADER_BYTES + MAX_PAYLOAD_BYTES) return this.miss()
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    u8.fill(0, offset, offset + HEADER_BYTES)
    u8[offset] = 6 << 4
    write16(u8, offset + PAYLOAD_LENGTH, length - HEADER_BYTES)
    u8[offset + HOP_LIMIT] = DEFAULT_HOP_LIMIT
    return true
  }

  /** DSCP and ECN, 8 bits. */
  get trafficClass(): number {
    return (read32(this.u8, this.offset + FIRST_WORD) & CLASS_MASK) >>> CLASS_SHIFT
  }

  set trafficClass(value: number) {
    this.replace(CLASS_MASK, value << CLASS_SHIFT)
  }

  /** 20 bits. */
  get flowLabel(): number {
    return read32(this.u8, this.offset + FIRST_WORD) & LABEL_MASK
  }

  set flowLabel(value: number) {
    this.replace(LABEL_MASK, value)
  }

  /** See `IpProtocol`; or the number of an extension header. */
  get nextHeader(): number {
    return this.u8[this.offset + NEXT_HEADER] | 0
  }

  set nextHeader(value: number) {
    this.u8[this.offset + NEXT_HEADER] = value
  }

  get hopLimit(): number {
    return this.u8[this.offset + HOP_LIMIT] | 0
  }

  set hopLimit(value: number) {
    this.u8[this.offset + HOP_LIMIT] = value
  }

  /** Writes the source address to `target[at…]`. */
  copySource(target: Uint8Array, at = 0): void {
    this.copyField(SOURCE, IPV6_BYTES, target, at)
  }

  /** Takes the source address from `address[at…]`. */
  setSource(address: Uint8Array, at = 0): void {
    this.setField(SOURCE, IPV6_BYTES, address, at)
  }

  /** The source address is that at `address[at…]`. */
  sourceIs(address: Uint8Array, at = 0): boolean {
    return this.fieldIs(SOURCE, IPV6_BYTES, address, at)
  }

  /** Writes the destination address to `target[at…]`. */
  copyDestination(target: Uint8Array, at = 0): void {
    this.copyField(DESTINATION, IPV6_BYTES, target, at)
  }

  /** Takes the destination address from `address[at…]`. */
  setDestination(address: Uint8Array, at = 0): void {
    this.setField(DESTINATION, IPV6_BYTES, address, at)
  }

  /** The destination address is that at `address[at…]`. */
  destinationIs(address: Uint8Array, at = 0): boolean {
    return this.fieldIs(DESTINATION, IPV6_BYTES, address, at)
  }

  /** Where the payload starts in `u8`: an extension header, if `nextHeader` says so. */
  get payloadOffset(): number {
    return this.offset + HEADER_BYTES
  }

  get payloadLength(): number {
    return this.length < HEADER_BYTES ? 0 : this.length - HEADER_BYTES
  }

  sumPseudoHeader(protocol: number, length: number): number {
    return addToSum(protocol + length, this.u8, this.offset + SOURCE, 2 * IPV6_BYTES)
  }

  private replace(mask: number, bits: number): void {
    const at = this.offset + FIRST_WORD
    write32(this.u8, at, (read32(this.u8, at) & ~mask) | (bits & mask))
  }
}

/** `fe80::1` as 16 bytes. Throws IXY_ERR_USAGE for anything else. */
export function parseIpv6(text: string): Uint8Array {
  if (!isIPv6(text) || text.includes('%'))
    throw new IxyError('IXY_ERR_USAGE', `'${text}' is not an IPv6 address`, 'write one as in fd00::1')
  const [front, back = null] = canonical(text).split('::')
  const head = words(front)
  const tail = words(back ?? '')
  const zeros = Array<number>(IPV6_BYTES / 2 - head.length - tail.length).fill(0)
  return Uint8Array.from([...head, ...zeros, ...tail].flatMap((word) => [word >>> 8, word & 0xff]))
}

/** The 16 bytes at `offset` as `fe80::1` (RFC 5952). Throws RangeError if there are fewer. */
export function formatIpv6(memory: Uint8Array, offset = 0): string {
  if (offset < 0 || offset + IPV6_BYTES > memory.length) throw new RangeError(`no IPv6 address at ${offset}`)
  const groups = Array.from({ length: IPV6_BYTES / 2 }, (_, i) => read16(memory, offset + i * 2).toString(16))
  return canonical(groups.join(':'))
}

/** As the URL standard writes it: short, without dots. */
function canonical(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1)
}

function words(text: string): number[] {
  return text === '' ? [] : text.split(':').map((word) => parseInt(word, 16))
}
