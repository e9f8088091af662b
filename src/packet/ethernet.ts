/**
 * Ethernet II frames, with or without one VLAN tag (IEEE 802.1Q). Lengths never include preamble and FCS.
 *
 *     0          6          12     14
 *     +----------+----------+------+-------------
 *     | dest.    | source   | type | payload          untagged
 *     +----------+----------+------+-------------
 *     | dest.    | source   | 8100 | TCI | type | payload
 *     +----------+----------+------+-----+------+--------
 *     0          6          12     14    16     18
 */
import { read16, write16 } from './big-endian.ts'
import { formatMac, MAC_BYTES } from './mac.ts'

export const DESTINATION = 0
export const SOURCE = 6
export const TYPE = 12
export const HEADER_BYTES = 14
/** What a VLAN tag adds to the header. */
export const VLAN_TAG_BYTES = 4
/** Tag control information: priority (3 bits), drop eligible (1), VLAN id (12). */
const TCI = 14
const TAGGED_TYPE = 16
const VLAN_ID_MASK = 0xfff

export const TYPE_IPV4 = 0x0800
export const TYPE_ARP = 0x0806
export const TYPE_VLAN = 0x8100

/** Shortest frame: 64 bytes with FCS. Whoever puts a shorter one on the wire pads it with zeros. */
export const MIN_FRAME_BYTES = 60
/** Largest packet behind the Ethernet header, bytes: a jumbo frame's. The usual MTU is 1500. */
export const MAX_MTU = 9000
/** Longest frame, untagged. */
export const MAX_FRAME_BYTES = HEADER_BYTES + MAX_MTU
/** VLAN ids that may be used: 0 means "priority only", 4095 is reserved. */
export const MAX_VLAN_ID = 4094

/** A view of a frame in `memory`; nothing is copied. */
export class EthernetFrame {
  readonly memory: Uint8Array
  readonly offset: number
  readonly length: number

  /** Throws RangeError if `length` bytes don't hold the header (and the tag that the header announces) or aren't there. */
  constructor(memory: Uint8Array, offset = 0, length = memory.length - offset) {
    if (offset < 0 || offset + length > memory.length) throw new RangeError('frame outside of its memory')
    this.memory = memory
    this.offset = offset
    this.length = length
    if (length < HEADER_BYTES || length < this.headerBytes)
      throw new RangeError(`${length} bytes don't hold an Ethernet header`)
  }

  get destination(): string {
    return formatMac(this.memory, this.offset + DESTINATION)
  }

  get source(): string {
    return formatMac(this.memory, this.offset + SOURCE)
  }

  get tagged(): boolean {
    return read16(this.memory, this.offset + TYPE) === TYPE_VLAN
  }

  /** null without a tag. */
  get vlanId(): number | null {
    return this.tagged ? read16(this.memory, this.offset + TCI) & VLAN_ID_MASK : null
  }

  /** What the payload is: the type behind the tag if there is one. Below 0x600 it is a length (IEEE 802.3). */
  get etherType(): number {
    return read16(this.memory, this.offset + (this.tagged ? TAGGED_TYPE : TYPE))
  }

  get headerBytes(): number {
    return this.tagged ? HEADER_BYTES + VLAN_TAG_BYTES : HEADER_BYTES
  }

  /** Where the payload starts in `memory`. */
  get payloadOffset(): number {
    return this.offset + this.headerBytes
  }

  get payloadLength(): number {
    return this.length - this.headerBytes
  }
}

export interface EthernetHeader {
  readonly destination: Uint8Array
  readonly source: Uint8Array
  readonly etherType: number
  /** null: untagged. */
  readonly vlanId: number | null
}

/** Writes the header at `offset` and returns its length. Throws RangeError if there is no space. */
export function writeEthernet(memory: Uint8Array, offset: number, header: EthernetHeader): number {
  const bytes = header.vlanId === null ? HEADER_BYTES : HEADER_BYTES + VLAN_TAG_BYTES
  if (offset < 0 || offset + bytes > memory.length) throw new RangeError('no space for an Ethernet header')
  for (let i = 0; i < MAC_BYTES; i++) {
    memory[offset + DESTINATION + i] = header.destination[i]
    memory[offset + SOURCE + i] = header.source[i]
  }
  if (header.vlanId !== null) {
    write16(memory, offset + TYPE, TYPE_VLAN)
    write16(memory, offset + TCI, header.vlanId & VLAN_ID_MASK)
  }
  write16(memory, offset + bytes - 2, header.etherType)
  return bytes
}
