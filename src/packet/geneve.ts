/**
 * Geneve (RFC 8926): Ethernet frames, and other things, in UDP, behind a header with options.
 *
 *     0                    1              2              4                    7          8
 *     +--------------------+--------------+--------------+--------------------+----------+---------+-------
 *     | version, options'  | control,     | what the     | network identifier | reserved | options | frame
 *     | length / 4 (6 bit) | critical     | payload is   |                    |          |         |
 *     +--------------------+--------------+--------------+--------------------+----------+---------+-------
 */
import { read16, write16 } from './big-endian.ts'
import { View } from './view.ts'
import { readVni, writeVni } from './vxlan.ts'

export const GENEVE_PORT = 6081
export const GENEVE_HEADER_BYTES = 8
/** Transparent Ethernet bridging: the payload is a frame. */
export const ETHERNET_PAYLOAD = 0x6558
const FIRST = 0
const FLAGS = 1
const PROTOCOL = 2
const OPTIONS_MASK = 0x3f
/** A message for the tunnel's end itself. */
export const GENEVE_CONTROL = 0x80
/** There are options that nobody may ignore. */
export const GENEVE_CRITICAL = 0x40

/** A view of a Geneve header and what is behind it. */
export class GenevePacket extends View {
  /** Header with options. */
  headerBytes = 0

  /** Aims at the payload of a UDP datagram. False if that is shorter than the header says, or of another version than 0. */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    this.headerBytes = 0
    if (!this.aim(u8, offset, length, GENEVE_HEADER_BYTES)) return false
    const headerBytes = GENEVE_HEADER_BYTES + ((u8[offset + FIRST] & OPTIONS_MASK) << 2)
    if (u8[offset + FIRST] >> 6 !== 0 || headerBytes > length) return this.miss()
    this.headerBytes = headerBytes
    return true
  }

  /** Writes a header without options for frames of the network `vni` and aims at it. False, and nothing written, if it doesn't fit. */
  create(u8: Uint8Array, offset: number, length: number, vni: number): boolean {
    this.headerBytes = 0
    if (!this.aim(u8, offset, length, GENEVE_HEADER_BYTES)) return false
    this.headerBytes = GENEVE_HEADER_BYTES
    u8.fill(0, offset, offset + GENEVE_HEADER_BYTES)
    write16(u8, offset + PROTOCOL, ETHERNET_PAYLOAD)
    writeVni(u8, offset, vni)
    return true
  }

  get control(): boolean {
    return (this.u8[this.offset + FLAGS] & GENEVE_CONTROL) !== 0
  }

  get critical(): boolean {
    return (this.u8[this.offset + FLAGS] & GENEVE_CRITICAL) !== 0
  }

  /** What the payload is, an EtherType. */
  get protocol(): number {
    return read16(this.u8, this.offset + PROTOCOL)
  }

  /** The network that the payload belongs to, 24 bits. */
  get vni(): number {
    return readVni(this.u8, this.offset)
  }

  /** Where the payload starts in `u8`, behind any options. */
  get payloadOffset(): number {
    return this.offset + this.headerBytes
  }

  get payloadLength(): number {
    return this.length - this.headerBytes
  }
}
