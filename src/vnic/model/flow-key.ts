/** What Flow Director sees of a packet (82599 §7.1.2.7): the fields of a filter, with what is masked taken out. */
import { get, type Register } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { Field, FIELDS } from './flow-table.ts'
import { type PacketInfo, PacketType } from './packet-info.ts'
import type { CardRegisters } from './registers.ts'

const FDIRM = REG.FDIRM.fields

/** As FDIRCMD.L4TYPE and IPV6 have it, in the head's bits 18:16. */
const [UDP, TCP, SCTP, IPV6] = [1, 2, 3, 4].map((type) => type << 16)
/** Of a VLAN tag, all but its bit 12. */
const VLAN_ID = 0x0fff
const VLAN_PRIORITY = 0xe000

/** Where addresses are in an IP header. */
const IPV4_SOURCE = 12
const IPV6_SOURCE = 8

export class FlowKey {
  /** By Field: those of the packet given to read() last. Destinations of IPv6 are in no field. */
  readonly fields = new Int32Array(FIELDS)
  /** All but the head, combined, for the hash. */
  body = 0

  /** The destination of IPv6 counts in the hash: signature filters only. */
  hashDestination6 = false

  private headMask = 0
  private flexMask = 0
  private tcpMask = 0
  private udpMask = 0
  private source4Mask = 0
  private destination4Mask = 0
  /** Of IPv6 addresses, word by word. */
  private readonly source6Mask = new Int32Array(4)
  private readonly destination6Mask = new Int32Array(4)
  private flexAt = 0

  /** Takes over masks and FDIRCTRL. */
  update(registers: CardRegisters): void {
    const fdirctrl = registers.get(REG.FDIRCTRL)
    const fdirm = registers.get(REG.FDIRM)
    this.hashDestination6 = (fdirctrl & REG.FDIRCTRL.fields.PERFECT_MATCH.mask) === 0
    this.flexAt = get(REG.FDIRCTRL.fields.FLEX_OFFSET, fdirctrl) * 2
    this.headMask =
      IPV6 |
      ((fdirm & FDIRM.L4_TYPE.mask) === 0 ? SCTP : 0) |
      ((fdirm & FDIRM.VLAN_ID.mask) === 0 ? VLAN_ID : 0) |
      ((fdirm & FDIRM.VLAN_PRIORITY.mask) === 0 ? VLAN_PRIORITY : 0)
    this.flexMask = (fdirm & FDIRM.FLEX.mask) === 0 ? 0xffff0000 : 0
    this.tcpMask = portMask(registers.get(REG.FDIRTCPM))
    this.udpMask = portMask(registers.get(REG.FDIRUDPM))
    this.source4Mask = ~swap(registers.get(REG.FDIRSIP4M))
    this.destination4Mask = ~swap(registers.get(REG.FDIRDIP4M))
    const bytes = registers.get(REG.FDIRIP6M)
    for (let word = 0; word < 4; word++) {
      this.source6Mask[word] = byteMask(bytes >>> (word * 4))
      this.destination6Mask[word] = byteMask(bytes >>> (16 + word * 4))
    }
  }

  /** Of a parsed IP packet of `length` bytes. Pools are not modelled: its pool is 0. */
  read(u8: Uint8Array, offset: number, length: number, info: PacketInfo): void {
    const { fields } = this
    const { type } = info
    const tcp = (type & PacketType.TCP) !== 0
    const udp = (type & PacketType.UDP) !== 0
    const l4 = tcp ? TCP : udp ? UDP : (type & PacketType.SCTP) !== 0 ? SCTP : 0
    // Of SCTP the card does not look at the ports, of fragments it can't.
    const ports = tcp || udp ? word(u8, offset + info.l4) & (tcp ? this.tcpMask : this.udpMask) : 0
    const vlan = info.vlan < 0 ? 0 : info.vlan
    const flex =
      this.flexMask !== 0 && this.flexAt + 2 <= length
        ? (u8[offset + this.flexAt] << 24) | (u8[offset + this.flexAt + 1] << 16)
        : 0
    this.body = ports ^ flex
    const v6 = (type & PacketType.IPV6) !== 0
    if (v6) this.readIpv6(u8, offset + info.l3 + IPV6_SOURCE)
    else this.readIpv4(u8, offset + info.l3 + IPV4_SOURCE)
    fields[Field.HEAD] = ((v6 ? IPV6 : 0) | l4 | vlan) & this.headMask
    fields[Field.PORTS] = ports
    fields[Field.FLEX] = flex
  }

  private readIpv4(u8: Uint8Array, at: number): void {
    const { fields } = this
    const source = word(u8, at) & this.source4Mask
    const destination = word(u8, at + 4) & this.destination4Mask
    fields[Field.SOURCE] = source
    fields[Field.SOURCE + 1] = 0
    fields[Field.SOURCE + 2] = 0
    fields[Field.SOURCE + 3] = 0
    fields[Field.DESTINATION] = destination
    this.body ^= source ^ destination
  }

  private readIpv6(u8: Uint8Array, at: number): void {
    const { fields, source6Mask, destination6Mask } = this
    let body = 0
    for (let i = 0; i < 4; i++) {
      const source = word(u8, at + i * 4) & source6Mask[i]
      fields[Field.SOURCE + i] = source
      body ^= source
      if (this.hashDestination6) body ^= word(u8, at + 16 + i * 4) & destination6Mask[i]
    }
    fields[Field.DESTINATION] = 0
    this.body ^= body
  }

  /** Puts the fields of the filter that the registers describe into `fields`; returns their combination without the head. */
  ofFilter(registers: CardRegisters, command: number, fields: Int32Array): number {
    const { L4TYPE, IPV6: V6, VT_POOL } = REG.FDIRCMD.fields
    const ipv6 = (command & V6.mask) !== 0
    const address = (register: Register, index = 0): number => swap(registers.get(register, index))
    const ports = registers.get(REG.FDIRPORT)
    const vlan = registers.get(REG.FDIRVLAN)
    fields.fill(0)
    fields[Field.HEAD] =
      (get(VT_POOL, command) << 24) |
      (ipv6 ? IPV6 : 0) |
      (get(L4TYPE, command) << 16) |
      (vlan & (VLAN_ID | VLAN_PRIORITY))
    fields[Field.PORTS] = (ports << 16) | (ports >>> 16)
    fields[Field.FLEX] = swap(vlan) & 0xffff
    fields[Field.FLEX] <<= 16
    if (ipv6) {
      for (let i = 0; i < 3; i++) fields[Field.SOURCE + i] = address(REG.FDIRSIPV6, i)
      fields[Field.SOURCE + 3] = address(REG.FDIRIPSA)
    } else {
      fields[Field.SOURCE] = address(REG.FDIRIPSA)
      fields[Field.DESTINATION] = address(REG.FDIRIPDA)
    }
    let body = 0
    for (let i = 1; i < FIELDS; i++) body ^= fields[i]
    return body
  }

  /** False if a filter has ones where every packet has zeros: masked, or not looked at. */
  canMatch(fields: Int32Array): boolean {
    const head = fields[Field.HEAD]
    const type = head & SCTP
    const ports = type === TCP ? this.tcpMask : type === UDP ? this.udpMask : 0
    const v6 = (head & IPV6) !== 0
    let excess =
      (head & ~this.headMask) | (fields[Field.PORTS] & ~ports) | (fields[Field.FLEX] & ~this.flexMask)
    if (!v6) excess |= fields[Field.DESTINATION] & ~this.destination4Mask
    for (let i = 0; i < 4; i++)
      excess |= fields[Field.SOURCE + i] & ~(v6 ? this.source6Mask[i] : i === 0 ? this.source4Mask : 0)
    return excess === 0
  }
}

/** A word of the packet, its first byte highest. */
function word(u8: Uint8Array, at: number): number {
  return (u8[at] << 24) | (u8[at + 1] << 16) | (u8[at + 2] << 8) | u8[at + 3]
}

function swap(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
}

/** Which bits of source and destination port count, from FDIRTCPM or FDIRUDPM, where both are in reverse. */
function portMask(register: number): number {
  let mask = 0
  for (let bit = 0; bit < 16; bit++) {
    if (((register >>> bit) & 1) === 0) mask |= 1 << (31 - bit)
    if (((register >>> (16 + bit)) & 1) === 0) mask |= 1 << (15 - bit)
  }
  return mask
}

/** Which bits of a word of an IPv6 address count; the lowest bit masks the first byte on the wire. */
function byteMask(bytes: number): number {
  let mask = 0
  for (let byte = 0; byte < 4; byte++) if (((bytes >>> byte) & 1) === 0) mask |= 0xff << ((3 - byte) * 8)
  return mask
}
