/** VLAN tags (IEEE 802.1Q), as the payload of an Ethernet frame whose type is EtherType.VLAN. */
import { read16, write16 } from './big-endian.ts'
import { VLAN_TAG_BYTES } from './ethernet.ts'
import { View } from './view.ts'

/** Tag control information: priority (3 bits), drop eligible (1), VLAN id (12). */
const TCI = 0
const TYPE = 2
const ID_MASK = 0xfff
const DROP_ELIGIBLE = 0x1000
const PRIORITY_SHIFT = 13

/** A view of a tag and what follows it. Tags in tags are views of payloads of views. */
export class VlanTag extends View {
  /** Aims at the payload of a frame, or of another tag. False if it is shorter than a tag. */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    return this.aim(u8, offset, length, VLAN_TAG_BYTES)
  }

  /** 1 to 4094; 0: priority only. */
  get id(): number {
    return read16(this.u8, this.offset + TCI) & ID_MASK
  }

  set id(value: number) {
    this.replace(ID_MASK, value)
  }

  /** 0 to 7. */
  get priority(): number {
    return read16(this.u8, this.offset + TCI) >>> PRIORITY_SHIFT
  }

  set priority(value: number) {
    this.replace(7 << PRIORITY_SHIFT, value << PRIORITY_SHIFT)
  }

  /** May be dropped before others. */
  get dropEligible(): boolean {
    return (read16(this.u8, this.offset + TCI) & DROP_ELIGIBLE) !== 0
  }

  set dropEligible(value: boolean) {
    this.replace(DROP_ELIGIBLE, value ? DROP_ELIGIBLE : 0)
  }

  /** What follows, see `EtherType`. */
  get type(): number {
    return read16(this.u8, this.offset + TYPE)
  }

  set type(value: number) {
    write16(this.u8, this.offset + TYPE, value)
  }

  get payloadOffset(): number {
    return this.offset + VLAN_TAG_BYTES
  }

  get payloadLength(): number {
    return this.length < VLAN_TAG_BYTES ? 0 : this.length - VLAN_TAG_BYTES
  }

  private replace(mask: number, bits: number): void {
    const at = this.offset + TCI
    write16(this.u8, at, (read16(this.u8, at) & ~mask) | (bits & mask))
  }
}
