/**
 * VXLAN (RFC 7348): Ethernet frames in UDP.
 *
 *     0       1                       4                       7          8
 *     +-------+-----------------------+-----------------------+----------+----------
 *     | flags | reserved              | network identifier    | reserved | frame
 *     +-------+-----------------------+-----------------------+----------+----------
 */
import { read16, write16 } from './big-endian.ts'
import { View } from './view.ts'

export const VXLAN_PORT = 4789
/** The network identifier is valid; a packet without it is to be discarded. All other bits are ignored. */
export const VXLAN_FLAGS = 0x08
export const VXLAN_HEADER_BYTES = 8
export const MAX_VNI = 0xff_ffff
/** Where the network identifier's three bytes are; Geneve has them at the same place. */
export const VNI = 4

/** A view of a VXLAN header and the frame behind it. */
export class VxlanPacket extends View {
  /** Aims at the payload of a UDP datagram. False if there is no header in it, or one without a network identifier. */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    if (!this.aim(u8, offset, length, VXLAN_HEADER_BYTES)) return false
    return (u8[offset] & VXLAN_FLAGS) !== 0 || this.miss()
  }

  /** Writes a header for the network `vni` and aims at it. False, and nothing written, if it doesn't fit. */
  create(u8: Uint8Array, offset: number, length: number, vni: number): boolean {
    if (!this.aim(u8, offset, length, VXLAN_HEADER_BYTES)) return false
    u8.fill(0, offset, offset + VXLAN_HEADER_BYTES)
    u8[offset] = VXLAN_FLAGS
    writeVni(u8, offset, vni)
    return true
  }

  /** The network that the frame belongs to, 24 bits. */
  get vni(): number {
    return readVni(this.u8, this.offset)
  }

  /** Where the frame starts in `u8`. */
  get payloadOffset(): number {
    return this.offset + VXLAN_HEADER_BYTES
  }

  get payloadLength(): number {
    return this.length < VXLAN_HEADER_BYTES ? 0 : this.length - VXLAN_HEADER_BYTES
  }
}

/** The network identifier of the header at `offset`. */
export function readVni(u8: Uint8Array, offset: number): number {
  return (read16(u8, offset + VNI) << 8) | u8[offset + VNI + 2]
}

export function writeVni(u8: Uint8Array, offset: number, vni: number): void {
  write16(u8, offset + VNI, vni >>> 8)
  u8[offset + VNI + 2] = vni
}
