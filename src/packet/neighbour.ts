/**
 * Neighbour discovery (RFC 4861): what ARP is to IPv4. Solicitations ask for the MAC address of an IPv6 address, advertisements
 * tell it.
 *
 *     0      1      2          4       8          24     25          26
 *     +------+------+----------+-------+----------+------+-----------+-----------
 *     | type | code | checksum | flags | target   | type | length: 1 | MAC          one option
 *     +------+------+----------+-------+----------+------+-----------+-----------
 */
import { Icmpv6Type } from './icmpv6.ts'
import { IPV6_BYTES } from './ipv6.ts'
import { MAC_BYTES } from './mac.ts'
import { View } from './view.ts'

const FLAGS = 4
const TARGET = 8
const OPTIONS = 24
const OPTION_MAC = 2
const OPTION_BYTES = 8
/** A message with the one option that matters. */
export const NEIGHBOUR_BYTES = OPTIONS + OPTION_BYTES
/** All of them come with it: nothing that a router has passed on is believed (§7.1). */
export const NEIGHBOUR_HOP_LIMIT = 255
const SOURCE_MAC_OPTION = 1
const TARGET_MAC_OPTION = 2
const SOLICITED = 0x40
const OVERRIDE = 0x20
const GROUP_PREFIX = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff)

/** A view of such a message, behind which `IcmpMessage` has its type and checksum. */
export class NeighbourMessage extends View {
  private option = 0

  /**
   * Aims at the payload of an IPv6 packet. False if it is too short, or has options that can't be (§7.1). Type, checksum and hop
   * limit are for the caller to look at.
   */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    this.option = 0
    if (!this.aim(u8, offset, length, OPTIONS)) return false
    const end = offset + length
    for (let at = offset + OPTIONS; at < end;) {
      const bytes = at + 1 < end ? u8[at + 1] << 3 : 0
      if (bytes === 0 || at + bytes > end) return this.miss()
      if (bytes === OPTION_BYTES && (u8[at] === SOURCE_MAC_OPTION || u8[at] === TARGET_MAC_OPTION))
        this.option = at
      at += bytes
    }
    return true
  }

  /** Writes a solicitation for `target` with the asker's MAC address, without checksum, and aims at it. False if it doesn't fit. */
  ask(u8: Uint8Array, offset: number, length: number, mac: Uint8Array, target: Uint8Array): boolean {
    return this.write(u8, offset, length, Icmpv6Type.NEIGHBOUR_SOLICITATION, 0, mac, target)
  }

  /**
   * Writes an advertisement of `target`, which has this MAC address, without checksum, and aims at it. `solicited`: somebody has
   * asked, and with an address of its own. False if it doesn't fit.
   */
  tell(
    u8: Uint8Array,
    offset: number,
    length: number,
    mac: Uint8Array,
    target: Uint8Array,
    solicited: boolean,
  ): boolean {
    const flags = solicited ? SOLICITED | OVERRIDE : OVERRIDE
    return this.write(u8, offset, length, Icmpv6Type.NEIGHBOUR_ADVERTISEMENT, flags, mac, target)
  }

  /** The address asked for, or told of, is that at `other[at…]`. */
  targetIs(other: Uint8Array, at = 0): boolean {
    return this.fieldIs(TARGET, IPV6_BYTES, other, at)
  }

  /** Writes that address to `target[at…]`. */
  copyTarget(target: Uint8Array, at = 0): void {
    this.copyField(TARGET, IPV6_BYTES, target, at)
  }

  /** Writes the MAC address in the option to `target[at…]`; false if there is none. */
  copyMac(target: Uint8Array, at = 0): boolean {
    if (this.option === 0) return false
    for (let i = 0; i < MAC_BYTES; i++) target[at + i] = this.u8[this.option + OPTION_MAC + i]
    return true
  }

  private write(
    u8: Uint8Array,
    offset: number,
    length: number,
    type: number,
    flags: number,
    mac: Uint8Array,
    target: Uint8Array,
  ): boolean {
    if (!this.aim(u8, offset, length, NEIGHBOUR_BYTES)) return false
    this.length = NEIGHBOUR_BYTES
    u8.fill(0, offset, offset + NEIGHBOUR_BYTES)
    u8[offset] = type
    u8[offset + FLAGS] = flags
    this.setField(TARGET, IPV6_BYTES, target, 0)
    this.option = offset + OPTIONS
    u8[this.option] = type === Icmpv6Type.NEIGHBOUR_SOLICITATION ? SOURCE_MAC_OPTION : TARGET_MAC_OPTION
    u8[this.option + 1] = OPTION_BYTES >> 3
    this.setField(OPTIONS + OPTION_MAC, MAC_BYTES, mac, 0)
    return true
  }
}

/** The group in which the host with this address is asked for it (RFC 4291 §2.7.1), as an IPv6 address. */
export function solicitedNode(address: Uint8Array): Uint8Array {
  return Uint8Array.of(...GROUP_PREFIX, address[13], address[14], address[15])
}

/** The MAC address of an IPv6 group (RFC 2464 §7). */
export function groupMac(group: Uint8Array): Uint8Array {
  return Uint8Array.of(0x33, 0x33, group[12], group[13], group[14], group[15])
}
