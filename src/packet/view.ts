/** What the views of packets have in common. */

const NOTHING = new Uint8Array(0)

/** Bytes of packets by their ids: what a view needs to know of a `PacketMemory`. */
export interface PacketBytes {
  readonly u8: Uint8Array
  /** Length in bytes of each packet, without FCS. */
  readonly size: Uint16Array
  /** Index in `u8` of the packet's first byte. */
  dataOffset(id: number): number
}

/**
 * A look at a packet as what it may be: nothing is copied. Make one view of a kind and aim it at one packet after the
 * other; nothing is allocated then. The packet's bytes stay where they are and whose they are: a view is worthless once
 * the buffer has been transmitted or freed.
 *
 * Until `wrap` or `create` has returned true, and after it has returned false, the view is aimed at nothing: fields read 0
 * and what is written is lost. Once it has returned true no field reads or writes outside of `length` bytes at `offset`,
 * whatever those are and however they change.
 */
export abstract class View {
  /** The memory that the view is aimed at. */
  u8: Uint8Array = NOTHING
  /** Where the packet begins in `u8`. */
  offset = 0
  /** Bytes of the packet, header and payload: as its header tells, where that does, else all that it was aimed at. */
  length = 0

  /** Aims at memory that holds `least` bytes or more of the `length`; else at nothing. */
  protected aim(u8: Uint8Array, offset: number, length: number, least: number): boolean {
    // Also not at what is no whole number, which would be no place in memory.
    const inside =
      (offset | 0) === offset &&
      (length | 0) === length &&
      offset >= 0 &&
      length >= least &&
      offset + length <= u8.length
    if (!inside) return this.miss()
    this.u8 = u8
    this.offset = offset
    this.length = length
    return true
  }

  /** Writes `bytes` bytes from place `field` of the packet to `target[at…]`. */
  protected copyField(field: number, bytes: number, target: Uint8Array, at: number): void {
    for (let i = 0; i < bytes; i++) target[at + i] = this.u8[this.offset + field + i]
  }

  /** Takes `bytes` bytes from `source[at…]`. */
  protected setField(field: number, bytes: number, source: Uint8Array, at: number): void {
    for (let i = 0; i < bytes; i++) this.u8[this.offset + field + i] = source[at + i]
  }

  /** The `bytes` bytes are those at `other[at…]`. */
  protected fieldIs(field: number, bytes: number, other: Uint8Array, at: number): boolean {
    for (let i = 0; i < bytes; i++) {
      if (this.u8[this.offset + field + i] !== other[at + i]) return false
    }
    return true
  }

  /** Aims at nothing. */
  protected miss(): false {
    this.u8 = NOTHING
    this.offset = 0
    this.length = 0
    return false
  }
}
