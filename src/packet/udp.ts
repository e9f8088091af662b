/** UDP datagrams (RFC 768). */
import { read16, write16 } from './big-endian.ts'
import { addToSum, finishSum, type IpPacket, updateChecksum, updateChecksum32 } from './checksum.ts'
import { IpProtocol } from './ipv4.ts'
import { View } from './view.ts'

export const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const LENGTH = 4
const CHECKSUM = 6
export const HEADER_BYTES = 8
const MAX_DATAGRAM_BYTES = 0xffff
const NO_CHECKSUM = 0
/** A checksum that is computed to be 0 is sent as this: they mean the same in one's complement. */
const ZERO = 0xffff

/** A view of a UDP datagram. */
export class UdpDatagram extends View {
  /**
   * Aims at the payload of an IP packet, which may be longer: `length` is the datagram's afterwards. False if it is shorter
   * than the header, or than the header says. Not for a fragment but the first, and that is shorter than it says.
   */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    const bytes = read16(u8, offset + LENGTH)
    if (bytes < HEADER_BYTES || bytes > length) return this.miss()
    this.length = bytes
    return true
  }

  /**
   * Writes a header for a datagram of `length` bytes (with header) and aims at it: ports 0, no checksum. False, and nothing
   * written, if the memory or `length` is too short, or `length` over 65535.
   */
  create(u8: Uint8Array, offset: number, length: number): boolean {
    if (length > MAX_DATAGRAM_BYTES) return this.miss()
    if (!this.aim(u8, offset, length, HEADER_BYTES)) return false
    u8.fill(0, offset, offset + HEADER_BYTES)
    write16(u8, offset + LENGTH, length)
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

  /** 0: the sender made none, as IPv4 allows. */
  get checksum(): number {
    return read16(this.u8, this.offset + CHECKSUM)
  }

  set checksum(value: number) {
    write16(this.u8, this.offset + CHECKSUM, value)
  }

  get payloadOffset(): number {
    return this.offset + HEADER_BYTES
  }

  get payloadLength(): number {
    return this.length < HEADER_BYTES ? 0 : this.length - HEADER_BYTES
  }

  /** The checksum is right, or there is none. `ip`: the packet that this is the payload of. */
  checksumOk(ip: IpPacket): boolean {
    return this.checksum === NO_CHECKSUM || finishSum(this.sum(ip)) === 0
  }

  /** Computes the checksum. */
  fillChecksum(ip: IpPacket): void {
    this.checksum = 0
    const checksum = finishSum(this.sum(ip))
    this.checksum = checksum === 0 ? ZERO : checksum
  }

  /** Leaves the checksum open, for whoever completes it (`OffloadFlag.CHECKSUM_OPEN`): the field gets the pseudo header's sum. */
  openChecksum(ip: IpPacket): void {
    this.checksum = ~finishSum(ip.sumPseudoHeader(IpProtocol.UDP, this.length))
  }

  /** A 16-bit word of header, payload or the addresses has changed: mends the checksum, if there is one (RFC 1624). */
  updateChecksum(before: number, after: number): void {
    this.mend(updateChecksum(this.checksum, before, after))
  }

  /** The same for a 32-bit field, such as an address. */
  updateChecksum32(before: number, after: number): void {
    this.mend(updateChecksum32(this.checksum, before, after))
  }

  private mend(checksum: number): void {
    if (this.checksum !== NO_CHECKSUM) this.checksum = checksum === 0 ? ZERO : checksum
  }

  private sum(ip: IpPacket): number {
    const { u8, offset, length } = this
    return addToSum(ip.sumPseudoHeader(IpProtocol.UDP, length), u8, offset, length)
  }
}
