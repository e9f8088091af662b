/**
 * Time stamps of PTP messages (IEEE 1588, 82599 §7.9): when a frame passes the MAC, by the card's clock. There is one place for
 * each direction; it keeps its stamp until the host has read it.
 */
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { PacketInfo, PacketType } from './packet-info.ts'
import type { CardRegisters } from './registers.ts'
import { SystemTime, type SystemTimeWords } from './system-time.ts'

const RX = REG.TSYNCRXCTL.fields
const TX = REG.TSYNCTXCTL.fields
const ETQF = REG.ETQF.fields

/** TSYNCRXCTL.TYPE: which messages of which version, over Ethernet (L2) or UDP (L4). */
const L2_V2 = 0
const L4_V1 = 1
const L2_L4_V2 = 2
const ALL = 4
const EVENT_V2 = 5

/** Of a PTP message: its type (version 2) and version are the low halves of its first two bytes; then what version 1 has as type. */
const CONTROL_AT = 32
/** Where its source is, which both versions have there (of version 2 the end of the clock's identity), and its number. */
const SOURCE_AT = 22
const SEQUENCE_AT = 30
const LOW_HALF = 0xf
/** Version 2, whatever RXMTRL says: Pdelay_Req and Pdelay_Resp. */
const PDELAY_REQUEST = 2
const PDELAY_RESPONSE = 3
const FIRST_GENERAL = 8
const MESSAGE_BYTES = 34
const UDP_BYTES = 8

export class TimeSync {
  /** Frames from the wire are to be asked whether they get a stamp: as long as there is room for one. */
  receiving = false
  private readonly registers: CardRegisters
  readonly clock: () => number
  private readonly time: SystemTime
  private readonly words: SystemTimeWords = new Uint32Array(2)
  private readonly info = new PacketInfo()
  private type = 0
  /** Where the message is that has matched last. */
  private message = 0

  /** `clock`: milliseconds, monotonic. */
  constructor(registers: CardRegisters, clock: () => number) {
    this.registers = registers
    this.clock = clock
    this.time = new SystemTime(registers, clock)
    registers.onWrite(REG.TSYNCRXCTL, (value) => {
      registers.change(REG.TSYNCRXCTL, value & ~RX.RXTT.mask, ~RX.RXTT.mask)
      this.update()
    })
    registers.onWrite(REG.TSYNCTXCTL, (value) =>
      registers.change(REG.TSYNCTXCTL, value & ~TX.TXTT.mask, ~TX.TXTT.mask),
    )
    registers.onRead(REG.RXSTMPH, () => {
      registers.change(REG.TSYNCRXCTL, 0, RX.RXTT.mask)
      this.update()
      return registers.get(REG.RXSTMPH)
    })
    registers.onRead(REG.TXSTMPH, () => {
      registers.change(REG.TSYNCTXCTL, 0, TX.TXTT.mask)
      return registers.get(REG.TXSTMPH)
    })
  }

  reset(): void {
    this.time.reset()
    this.update()
  }

  private update(): void {
    const control = this.registers.get(REG.TSYNCRXCTL)
    this.type = get(RX.TYPE, control)
    this.receiving = (control & RX.EN.mask) !== 0 && (this.type === ALL || (control & RX.RXTT.mask) === 0)
  }

  /**
   * A frame whose descriptor asked for a stamp has left at `moment`, on the clock given to the constructor. Returns false if it got no
   * stamp: there is one already that the host has not read, or none is to be given.
   */
  sent(moment: number): boolean {
    const { registers, words } = this
    const control = registers.get(REG.TSYNCTXCTL)
    if ((control & TX.EN.mask) === 0 || (control & TX.TXTT.mask) !== 0) return false
    this.time.read(words, moment)
    registers.set(REG.TXSTMPL, words[0])
    registers.set(REG.TXSTMPH, words[1])
    registers.set(REG.TSYNCTXCTL, control | TX.TXTT.mask)
    return true
  }

  /**
   * A frame comes in, while `receiving`. Returns true if it gets a stamp that its descriptor tells of. `vlanType`: EtherType of a
   * VLAN tag. `left`: when it has left the card at the far end, which is when it came in here; if that is known.
   */
  received(u8: Uint8Array, offset: number, length: number, vlanType: number, left?: number): boolean {
    const { registers } = this
    // Then the last frame's is there, and no descriptor tells of it.
    if (this.type === ALL) {
      this.keep(left)
      return false
    }
    if (!this.matches(u8, offset, length, vlanType)) return false
    this.keep(left)
    this.describe(u8, this.message)
    registers.change(REG.TSYNCRXCTL, RX.RXTT.mask, 0)
    this.update()
    return true
  }

  private keep(at = this.clock()): void {
    this.time.read(this.words, at)
    this.registers.set(REG.RXSTMPL, this.words[0])
    this.registers.set(REG.RXSTMPH, this.words[1])
  }

  /** Whose stamp it is (82599 §8.2.3.26.6): as it was on the wire, the first byte lowest. */
  private describe(u8: Uint8Array, message: number): void {
    const half = (at: number): number => u8[message + at] | (u8[message + at + 1] << 8)
    this.registers.set(REG.RXSATRL, (half(SOURCE_AT) | (half(SOURCE_AT + 2) << 16)) >>> 0)
    this.registers.set(REG.RXSATRH, (half(SOURCE_AT + 4) | (half(SEQUENCE_AT) << 16)) >>> 0)
  }

  private matches(u8: Uint8Array, offset: number, length: number, vlanType: number): boolean {
    const { info, type } = this
    info.parse(u8, offset, length, vlanType)
    if ((info.type & PacketType.UDP) !== 0) return type !== L2_V2 && this.matchesUdp(u8, offset)
    if (type === L4_V1 || !this.hasFilter(info.etherType)) return false
    const message = HEADER_BYTES + (info.vlan >= 0 ? VLAN_TAG_BYTES : 0)
    return message + MESSAGE_BYTES <= length && this.matchesMessage(u8, offset + message)
  }

  /** An EtherType filter says that it is PTP (ETQF.TIME_1588). */
  private hasFilter(etherType: number): boolean {
    const wanted = ETQF.FILTER_ENABLE.mask | ETQF.TIME_1588.mask
    for (let i = 0; i < REG.ETQF.count; i++) {
      const etqf = this.registers.get(REG.ETQF, i)
      if (((etqf & wanted) ^ wanted) === 0 && get(ETQF.ETYPE, etqf) === etherType) return true
    }
    return false
  }

  private matchesUdp(u8: Uint8Array, offset: number): boolean {
    const { l4, end } = this.info
    const port = (u8[offset + l4 + 2] << 8) | u8[offset + l4 + 3]
    if (port !== get(REG.RXMTRL.fields.UDPT, this.registers.get(REG.RXMTRL))) return false
    const message = l4 + UDP_BYTES
    return message + MESSAGE_BYTES <= end && this.matchesMessage(u8, offset + message)
  }

  private matchesMessage(u8: Uint8Array, at: number): boolean {
    this.message = at
    const wanted = this.registers.get(REG.RXMTRL)
    const version = u8[at + 1] & LOW_HALF
    if (this.type === L4_V1)
      return version === 1 && u8[at + CONTROL_AT] === get(REG.RXMTRL.fields.CTRLT, wanted)
    if (version !== 2) return false
    const message = u8[at] & LOW_HALF
    if (this.type === EVENT_V2) return message < FIRST_GENERAL
    if (this.type !== L2_V2 && this.type !== L2_L4_V2) return false
    const always = message === PDELAY_REQUEST || message === PDELAY_RESPONSE
    return always || message === get(REG.RXMTRL.fields.MSGT, wanted)
  }
}
