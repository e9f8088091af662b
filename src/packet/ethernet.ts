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
import { read16, write16 } from './big-endian.ts'
import { MAC_BYTES } from './mac.ts'
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
/** The outer one of 802.1ad, the inner one of 802.1Q. */
export const MAX_VLAN_TAGS = 2

/** `type`: an EtherType. */
export function isVlanTag(type: number): boolean {
  return type === EtherType.VLAN || type === EtherType.SERVICE_VLAN
}

/**
 * A view of an Ethernet frame. MAC addresses are six bytes, see `parseMac()`: they are copied and compared, not returned.
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

  /** Writes the destination address to `target[at…]`. */
  copyDestination(target: Uint8Array, at = 0): void {
    this.copyField(DESTINATION, MAC_BYTES, target, at)
  }

  /** Takes the destination address from `address[at…]`. */
  setDestination(address: Uint8Array, at = 0): void {
    this.setField(DESTINATION, MAC_BYTES, address, at)
  }

  /** The destination address is that at `address[at…]`. */
  destinationIs(address: Uint8Array, at = 0): boolean {
    return this.fieldIs(DESTINATION, MAC_BYTES, address, at)
  }

  /** The frame is for a group of stations: multicast or broadcast. */
  get toGroup(): boolean {
    return (this.u8[this.offset + DESTINATION] & 1) === 1
  }

  /** Writes the source address to `target[at…]`. */
  copySource(target: Uint8Array, at = 0): void {
    this.copyField(SOURCE, MAC_BYTES, target, at)
  }

  /** Takes the source address from `address[at…]`. */
  setSource(address: Uint8Array, at = 0): void {
    this.setField(SOURCE, MAC_BYTES, address, at)
  }

  /** The source address is that at `address[at…]`. */
  sourceIs(address: Uint8Array, at = 0): boolean {
    return this.fieldIs(SOURCE, MAC_BYTES, address, at)
  }

  /** Makes the frame go back to where it has come from. */
  swapAddresses(): void {
    const { u8, offset } = this
    for (let i = 0; i < MAC_BYTES; i++) {
      const byte = u8[offset + DESTINATION + i]
      u8[offset + DESTINATION + i] = u8[offset + SOURCE + i]
      u8[offset + SOURCE + i] = byte
    }
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
