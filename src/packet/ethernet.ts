/**
 * Ethernet II frames. Lengths never include preamble and FCS.
 *
 *     0          6          12     14
 *     +----------+----------+------+-------------
 *     | dest.    | source   | type | payload          untagged
 *     +----------+----------+------+-------------
 *     | dest.    | source   | 8100 | TCI | type | payload        IEEE 802.1Q, see vlan.ts
 *     +----------+----------+------+-----+------+--------
 *     0          6          12     14    16     18
 */
import { read16, read48, write16, write48 } from './big-endian.ts'
import { type PacketBytes, View } from './view.ts'

export const DESTINATION = 0
export const SOURCE = 6
export const TYPE = 12
export const HEADER_BYTES = 14
/** What a VLAN tag adds to the header. */
export const VLAN_TAG_BYTES = 4

/** What the payload of a frame is, as IEEE numbers it. */
export const EtherType = {
  IPV4: 0x0800,
  ARP: 0x0806,
  /** A VLAN tag (IEEE 802.1Q): aim a `VlanTag` at the payload. */
  VLAN: 0x8100,
  IPV6: 0x86dd,
  /** An outer VLAN tag (IEEE 802.1ad). */
  SERVICE_VLAN: 0x88a8,
} as const

/** Shortest frame: 64 bytes with FCS. Whoever puts a shorter one on the wire pads it with zeros. */
export const MIN_FRAME_BYTES = 60
/** Frame check sequence, which follows the payload on the wire. */
export const FCS_BYTES = 4
/** Largest packet behind the Ethernet header, bytes: the usual one, and a jumbo frame's. */
export const DEFAULT_MTU = 1500
export const MAX_MTU = 9000
/** Longest frame, untagged. */
export const MAX_FRAME_BYTES = HEADER_BYTES + MAX_MTU
/** VLAN ids that may be used: 0 means "priority only", 4095 is reserved. */
export const MAX_VLAN_ID = 4094

/**
 * A view of an Ethernet frame. MAC addresses are numbers, see `parseMacAddress()`.
 *
 *     const ethernet = new EthernetFrame()
 *     if (ethernet.wrapPacket(memory, id) && ethernet.type === EtherType.ARP) …
 */
export class EthernetFrame extends View {
  /** Aims at the `length` bytes at `offset`. False if there is no header in them. */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    return this.aim(u8, offset, length, HEADER_BYTES)
  }

  /** Aims at packet `id`, which must be the caller's. False if it is shorter than a header. */
  wrapPacket(memory: PacketBytes, id: number): boolean {
    return this.aim(memory.u8, memory.dataOffset(id), memory.size[id], HEADER_BYTES)
  }

  get destination(): number {
    return read48(this.u8, this.offset + DESTINATION)
  }

  set destination(address: number) {
    write48(this.u8, this.offset + DESTINATION, address)
  }

  /** The frame is for a group of stations: multicast or broadcast. */
  get toGroup(): boolean {
    return (this.u8[this.offset + DESTINATION] & 1) === 1
  }

  get source(): number {
    return read48(this.u8, this.offset + SOURCE)
  }

  set source(address: number) {
    write48(this.u8, this.offset + SOURCE, address)
  }

  /** What the payload is, see `EtherType`. Below 0x600 it is a length (IEEE 802.3). */
  get type(): number {
    return read16(this.u8, this.offset + TYPE)
  }

  set type(value: number) {
    write16(this.u8, this.offset + TYPE, value)
  }

  /** Where the payload starts in `u8`. */
  get payloadOffset(): number {
    return this.offset + HEADER_BYTES
  }

  /** Bytes behind the header: the payload, and padding if that is shorter than 46 bytes. */
  get payloadLength(): number {
    return this.length < HEADER_BYTES ? 0 : this.length - HEADER_BYTES
  }
}
