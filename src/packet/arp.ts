/** ARP for IPv4 over Ethernet (RFC 826). */
import { read16, read32, write16, write32 } from './big-endian.ts'
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

/** A view of an ARP packet. MAC addresses are six bytes, as in `EthernetFrame`; IPv4 addresses numbers, as in `Ipv4Packet`. */
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
  ask(mac: Uint8Array, ip: number, target: number): void {
    this.operation = ArpOperation.REQUEST
    this.setSenderMac(mac)
    this.senderIp = ip
    this.u8.fill(0, this.offset + TARGET_MAC, this.offset + TARGET_MAC + MAC_BYTES)
    this.targetIp = target
  }

  /** Makes the reply of this request, where it lies: `mac` is the address that was asked for. */
  answer(mac: Uint8Array): void {
    const { u8, offset, senderIp, targetIp } = this
    this.operation = ArpOperation.REPLY
    this.setTargetMac(u8, offset + SENDER_MAC)
    this.targetIp = senderIp
    this.setSenderMac(mac)
    this.senderIp = targetIp
  }

  /** See `ArpOperation`. */
  get operation(): number {
    return read16(this.u8, this.offset + OPERATION)
  }

  set operation(value: number) {
    write16(this.u8, this.offset + OPERATION, value)
  }

  /** Writes the sender's MAC address to `target[at…]`. */
  copySenderMac(target: Uint8Array, at = 0): void {
    this.copyField(SENDER_MAC, MAC_BYTES, target, at)
  }

  /** Takes the sender's MAC address from `address[at…]`. */
  setSenderMac(address: Uint8Array, at = 0): void {
    this.setField(SENDER_MAC, MAC_BYTES, address, at)
  }

  get senderIp(): number {
    return read32(this.u8, this.offset + SENDER_IP)
  }

  set senderIp(address: number) {
    write32(this.u8, this.offset + SENDER_IP, address)
  }

  /** Writes the target's MAC address to `target[at…]`; zeros in a request. */
  copyTargetMac(target: Uint8Array, at = 0): void {
    this.copyField(TARGET_MAC, MAC_BYTES, target, at)
  }

  /** Takes the target's MAC address from `address[at…]`. */
  setTargetMac(address: Uint8Array, at = 0): void {
    this.setField(TARGET_MAC, MAC_BYTES, address, at)
  }

  get targetIp(): number {
    return read32(this.u8, this.offset + TARGET_IP)
  }

  set targetIp(address: number) {
    write32(this.u8, this.offset + TARGET_IP, address)
  }
}
