/** ARP for IPv4 over Ethernet (RFC 826). */
import { read16, read32, read48, write16, write32, write48 } from './big-endian.ts'
import { EtherType } from './ethernet.ts'
import { MAC_BYTES } from './mac.ts'
import { View } from './view.ts'

const HARDWARE = 0
const PROTOCOL = 2
const LENGTHS = 4
const OPERATION = 6
const SENDER_MAC = 8
const SENDER_IP = 14
const TARGET_MAC = 18
const TARGET_IP = 24
export const PACKET_BYTES = 28

const HARDWARE_ETHERNET = 1
const IPV4_BYTES = 4
const BOTH_LENGTHS = (MAC_BYTES << 8) | IPV4_BYTES

/** Whether an ARP packet asks or answers. */
export const ArpOperation = { REQUEST: 1, REPLY: 2 } as const

/** A view of an ARP packet. MAC addresses are numbers, see `parseMacAddress()`; IPv4 addresses too, see `parseIpv4()`. */
export class ArpPacket extends View {
  /** Aims at the payload of a frame. False if that is too short, or about other addresses than IPv4's and Ethernet's. */
  wrap(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    if (!this.aim(u8, offset, length, PACKET_BYTES)) return false
    this.length = PACKET_BYTES
    const known =
      read16(u8, offset + HARDWARE) === HARDWARE_ETHERNET &&
      read16(u8, offset + PROTOCOL) === EtherType.IPV4 &&
      read16(u8, offset + LENGTHS) === BOTH_LENGTHS
    return known || this.miss()
  }

  /** Writes an empty packet at `offset` and aims at it. False, and nothing written, if `length` is too short. */
  create(u8: Uint8Array, offset = 0, length = u8.length - offset): boolean {
    if (!this.aim(u8, offset, length, PACKET_BYTES)) return false
    this.length = PACKET_BYTES
    u8.fill(0, offset, offset + PACKET_BYTES)
    write16(u8, offset + HARDWARE, HARDWARE_ETHERNET)
    write16(u8, offset + PROTOCOL, EtherType.IPV4)
    write16(u8, offset + LENGTHS, BOTH_LENGTHS)
    return true
  }

  /** Makes a request of this packet: who has `target`? `mac` and `ip` are the sender's own. */
  ask(mac: number, ip: number, target: number): void {
    this.operation = ArpOperation.REQUEST
    this.senderMac = mac
    this.senderIp = ip
    this.targetMac = 0
    this.targetIp = target
  }

  /** Makes the reply of this request, where it lies: `mac` is the address that was asked for. */
  answer(mac: number): void {
    const asked = this.targetIp
    this.operation = ArpOperation.REPLY
    this.targetMac = this.senderMac
    this.targetIp = this.senderIp
    this.senderMac = mac
    this.senderIp = asked
  }

  /** See `ArpOperation`. */
  get operation(): number {
    return read16(this.u8, this.offset + OPERATION)
  }

  set operation(value: number) {
    write16(this.u8, this.offset + OPERATION, value)
  }

  get senderMac(): number {
    return read48(this.u8, this.offset + SENDER_MAC)
  }

  set senderMac(address: number) {
    write48(this.u8, this.offset + SENDER_MAC, address)
  }

  get senderIp(): number {
    return read32(this.u8, this.offset + SENDER_IP)
  }

  set senderIp(address: number) {
    write32(this.u8, this.offset + SENDER_IP, address)
  }

  /** 0 in a request. */
  get targetMac(): number {
    return read48(this.u8, this.offset + TARGET_MAC)
  }

  set targetMac(address: number) {
    write48(this.u8, this.offset + TARGET_MAC, address)
  }

  get targetIp(): number {
    return read32(this.u8, this.offset + TARGET_IP)
  }

  set targetIp(address: number) {
    write32(this.u8, this.offset + TARGET_IP, address)
  }
}
