/** TCP segments (RFC 9293). */
import { read16, read32, write16, write32 } from './big-endian.ts'
import { addToSum, finishSum, type IpPacket, updateChecksum, updateChecksum32 } from './checksum.ts'
import { IpProtocol } from './ipv4.ts'
import { View } from './view.ts'

const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const SEQUENCE = 4
const ACKNOWLEDGEMENT = 8
/** Upper half: the header's length in units of 4 bytes. */
const DATA_OFFSET = 12
const FLAGS = 13
const WINDOW = 14
const CHECKSUM = 16
const URGENT = 18
/** Header without options. */
export const HEADER_BYTES = 20
const MOST_HEADER_BYTES = 60

/** Bits of `TcpSegment.flags`. */
export const TcpFlag = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80,
} as const

/** A view of a TCP segment. */
export class TcpSegment extends View {
  /** Header with options. */
  headerBytes = 0

  /**
   * Aims at the payload of an IP packet, all of which is the segment. False if the header doesn't fit. Not for a fragment but
   * the first.
   */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    this.headerBytes = 0
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    const headerBytes = (u8[offset + DATA_OFFSET] >> 4) << 2
    if (headerBytes < HEADER_BYTES || headerBytes > length) return this.miss()
    this.headerBytes = headerBytes
    return true
  }

  /**
   * Writes a header for a segment of `length` bytes (with header) and aims at it, all fields 0. `optionBytes` (a multiple of
   * 4, up to 40) behind it are zeroed, too, which means "end of options". False, and nothing written, if that doesn't fit.
   */
  create(u8: Uint8Array, offset: number, length: number, optionBytes = 0): boolean {
    this.headerBytes = 0
    const headerBytes = HEADER_BYTES + optionBytes
    if (optionBytes < 0 || headerBytes > MOST_HEADER_BYTES || (optionBytes & 3) !== 0) return this.miss()
    if (!this.aim(u8, offset, length, headerBytes)) return false
    this.headerBytes = headerBytes
    u8.fill(0, offset, offset + headerBytes)
    u8[offset + DATA_OFFSET] = (headerBytes >> 2) << 4
    return true
  }

  get sourcePort(): number {
    return read16(this.u8, this.offset + SOURCE_PORT)
  }

  set sourcePort(value: number) {
    write16(this.u8, this.offset + SOURCE_PORT, value)
  }

  get destinationPort(): number {
    return read16(this.u8, this.offset + DESTINATION_PORT)
  }

  set destinationPort(value: number) {
    write16(this.u8, this.offset + DESTINATION_PORT, value)
  }

  /** 32 bits, signed. It wraps: `(a - b) | 0` is how far a is ahead of b. */
  get sequence(): number {
    return read32(this.u8, this.offset + SEQUENCE)
  }

  set sequence(value: number) {
    write32(this.u8, this.offset + SEQUENCE, value)
  }

  /** As `sequence`; says something if flag ACK is set. */
  get acknowledgement(): number {
    return read32(this.u8, this.offset + ACKNOWLEDGEMENT)
  }

  set acknowledgement(value: number) {
    write32(this.u8, this.offset + ACKNOWLEDGEMENT, value)
  }

  /** See `TcpFlag`. */
  get flags(): number {
    return this.u8[this.offset + FLAGS] | 0
  }

  set flags(value: number) {
    this.u8[this.offset + FLAGS] = value
  }

  /** As sent, without the scale that the handshake may have agreed on. */
  get window(): number {
    return read16(this.u8, this.offset + WINDOW)
  }

  set window(value: number) {
    write16(this.u8, this.offset + WINDOW, value)
  }

  /** Says something if flag URG is set. */
  get urgentPointer(): number {
    return read16(this.u8, this.offset + URGENT)
  }

  set urgentPointer(value: number) {
    write16(this.u8, this.offset + URGENT, value)
  }

  get checksum(): number {
    return read16(this.u8, this.offset + CHECKSUM)
  }

  set checksum(value: number) {
    write16(this.u8, this.offset + CHECKSUM, value)
  }

  /** Where the options start in `u8`. */
  get optionsOffset(): number {
    return this.offset + HEADER_BYTES
  }

  /** Bytes of options, up to 40. */
  get optionsLength(): number {
    return this.headerBytes === 0 ? 0 : this.headerBytes - HEADER_BYTES
  }

  get payloadOffset(): number {
    return this.offset + this.headerBytes
  }

  get payloadLength(): number {
    return this.length - this.headerBytes
  }

  /** The checksum is right. `ip`: the packet that this is the payload of. */
  checksumOk(ip: IpPacket): boolean {
    return finishSum(this.sum(ip)) === 0
  }

  /** Computes the checksum. */
  fillChecksum(ip: IpPacket): void {
    this.checksum = 0
    this.checksum = finishSum(this.sum(ip))
  }

  /** Leaves the checksum open, for whoever completes it (`OffloadFlag.CHECKSUM_OPEN`): the field gets the pseudo header's sum. */
  openChecksum(ip: IpPacket): void {
    this.checksum = ~finishSum(ip.sumPseudoHeader(IpProtocol.TCP, this.length))
  }

  /** A 16-bit word of header, payload or the addresses has changed: mends the checksum (RFC 1624). */
  updateChecksum(before: number, after: number): void {
    this.checksum = updateChecksum(this.checksum, before, after)
  }

  /** The same for a 32-bit field, such as an address or a sequence number. */
  updateChecksum32(before: number, after: number): void {
    this.checksum = updateChecksum32(this.checksum, before, after)
  }

  private sum(ip: IpPacket): number {
    const { u8, offset, length } = this
    return addToSum(ip.sumPseudoHeader(IpProtocol.TCP, length), u8, offset, length)
  }
}
