/**
 * A packet on its way from descriptors to frames, the long way: several buffers, context descriptors, offloads, short
 * frames, and everything that is wrong (82599 §7.2.3.2). The short way is in tx-queue.ts.
 */
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import type { CardRegisters } from './registers.ts'
import type { Strict } from './strict.ts'
import * as D from './tx-descriptor.ts'
import { MAX_PACKET, Offloader } from './tx-offload.ts'

/** The shortest packet the card takes, by the sum of DTALEN (82599 §7.2.3.2.4). */
const SHORTEST = 17
/** Descriptors one packet may use (82599 §7.2.3.3). */
const MAX_DESCRIPTORS = 40
/** Word 3 of a data descriptor: the bits below PAYLEN, and those of them that have a meaning. */
const OPTIONS = (1 << D.PAYLEN_SHIFT) - 1
const KNOWN_OPTIONS = D.CC | D.IXSM | D.TXSM | D.IPSEC | (7 << D.IDX_SHIFT)

/** What a descriptor has led to: the packet goes on, is complete, is dropped; or it was none: a context, or empty. */
export const Fed = { MORE: 0, COMPLETE: 1, DROPPED: 2, NONE: 3 } as const
export type Fed = (typeof Fed)[keyof typeof Fed]

/** Copies host memory into `target` at `offset`; false if the device may not read there. */
export type Fetch = (iova: number, bytes: number, target: Bytes, offset: number) => boolean

export class TxPacket {
  /** The frame that is to be sent now; valid while `pending`. */
  memory: Bytes = { u8: new Uint8Array(0), u32: new Uint32Array(0) }
  length = 0
  /** The packet's descriptor asks for a time stamp. */
  timed = false
  private readonly registers: CardRegisters
  private readonly strict: Strict
  private readonly fetch: Fetch
  private readonly contexts = [D.newContext(), D.newContext()]
  private readonly padded = allocateBytes(64)
  /** Made when first needed: its buffers are large. */
  private own: Offloader | undefined
  /** Frames not yet sent. */
  private left = 0
  /** While descriptors are fed: bytes and descriptors so far, whether all of them were usable. */
  private gathered = 0
  private descriptors = 0
  private intact = true
  /** Its descriptors are legacy ones. */
  private legacy = false
  /** Length of the packet by PAYLEN. Legacy descriptors have none. */
  private expected = 0

  constructor(registers: CardRegisters, strict: Strict, fetch: Fetch) {
    this.registers = registers
    this.strict = strict
    this.fetch = fetch
  }

  private get offloader(): Offloader {
    this.own ??= new Offloader()
    return this.own
  }

  /** There is a frame to be sent. */
  get pending(): boolean {
    return this.left > 0
  }

  /** Forgets a half-sent packet. */
  clear(): void {
    this.left = 0
  }

  /** A new packet: feed its descriptors next, from the first. */
  begin(): void {
    this.gathered = 0
    this.descriptors = 0
    this.intact = true
  }

  /** Takes the four words of the next descriptor. `pad`: short frames are filled up. */
  feed(word0: number, word1: number, command: number, options: number, pad: boolean): Fed {
    if (this.descriptors === 0) {
      this.legacy = (command & D.DEXT) === 0
      if (this.legacy && (command & D.EOP) !== 0 && (command & 0xffff) === 0) return Fed.NONE
      if (!this.legacy && (command & D.DTYP_MASK) === D.DTYP_CONTEXT) {
        D.readContext(this.contexts[(options >>> D.IDX_SHIFT) & 1], word0, command, options)
        return Fed.NONE
      }
    }
    const fault = faultOf(command, this.legacy)
    if (fault !== '') {
      this.strict.report('7.2.3.2', fault)
      this.intact = false
    }
    if (this.intact) this.intact = this.gather(word0 + word1 * 2 ** 32, command, options)
    this.gathered += command & 0xffff
    this.descriptors++
    if ((command & D.EOP) === 0) return Fed.MORE
    if (this.descriptors > MAX_DESCRIPTORS)
      this.strict.report('7.2.3.3', `packet of more than ${MAX_DESCRIPTORS} descriptors`)
    if (!this.intact) return Fed.DROPPED
    this.left = this.possible() ? this.offloader.begin(this.gathered) : 0
    if (this.left === 0) {
      this.strict.report('7.2.4', 'packet that the card can not send: its length or context is wrong')
      return Fed.DROPPED
    }
    this.build(pad)
    return Fed.COMPLETE
  }

  /** Copies one data descriptor's buffer behind the others, and takes over what the first one asks for. */
  private gather(iova: number, command: number, options: number): boolean {
    const bytes = command & 0xffff
    if (this.descriptors === 0) this.ask(command, options)
    // What a ring holds that was cleared.
    if (this.legacy && bytes === 0) return true
    this.check(command, options)
    if (this.gathered + bytes > MAX_PACKET) return false
    return bytes === 0 || this.fetch(iova, bytes, this.offloader.frame, this.gathered)
  }

  private check(command: number, options: number): void {
    const { strict, legacy } = this
    const section = legacy ? '7.2.3.2.1' : '7.2.3.2.4'
    if (legacy) {
      if ((command & D.LEGACY_RESERVED) !== 0)
        strict.report(section, 'reserved bits of a legacy transmit descriptor are not zero')
    } else if ((command & D.DATA_RESERVED) !== 0 || (options & OPTIONS & ~KNOWN_OPTIONS) !== 0)
      strict.report(section, 'reserved bits of a transmit data descriptor are not zero')
    if ((command & D.IFCS) === 0) strict.report(section, 'transmit data descriptor without IFCS')
  }

  /** The first descriptor decides for all of its packet (82599 §7.2.3.2.1, §7.2.3.2.4). */
  private ask(command: number, options: number): void {
    const { registers, offloader, legacy } = this
    const { asked } = offloader
    const { context } = asked
    this.timed = !legacy && (command & D.TSTAMP) !== 0
    asked.insertVlan = (command & D.VLE) !== 0
    asked.segment = !legacy && (command & D.TSE) !== 0
    asked.ipChecksum = !legacy && (options & D.IXSM) !== 0
    asked.l4Checksum = !legacy && (options & D.TXSM) !== 0
    asked.byContext = !legacy && (options & D.CC) !== 0
    asked.sumAt = legacy && (command & D.IC) !== 0 ? (command >>> D.CSO_SHIFT) & 0xff : 0
    asked.sumFrom = (options >>> D.CSS_SHIFT) & 0xff
    if (legacy) context.vlan = options >>> 16
    else Object.assign(context, this.contexts[(options >>> D.IDX_SHIFT) & 1])
    offloader.vlanType = get(REG.DMATXCTL.fields.VT, registers.get(REG.DMATXCTL))
    offloader.flagsFirst = get(REG.DTXTCPFLGL.fields.FIRST, registers.get(REG.DTXTCPFLGL))
    offloader.flagsMiddle = get(REG.DTXTCPFLGL.fields.MIDDLE, registers.get(REG.DTXTCPFLGL))
    offloader.flagsLast = get(REG.DTXTCPFLGH.fields.LAST, registers.get(REG.DTXTCPFLGH))
    // PAYLEN is the payload alone with segmentation (82599 §7.2.3.2.4).
    const headers = asked.segment ? context.macLength + context.ipLength + context.l4Length : 0
    this.expected = (options >>> D.PAYLEN_SHIFT) + headers
  }

  private possible(): boolean {
    const { asked } = this.offloader
    const { macLength, ipLength } = asked.context
    if (this.legacy) this.checkSum()
    else if (this.gathered !== this.expected)
      this.strict.report('7.2.3.2.4', 'PAYLEN is not the size of the packet')
    if (this.gathered < SHORTEST) return false
    const offload = asked.segment || asked.ipChecksum || asked.l4Checksum
    if (asked.context.fcoe && (offload || asked.byContext)) {
      this.strict.report('7.2.3.2.3', 'FCoE offload asked of a card that has none')
      return false
    }
    return !offload || (macLength > 0 && macLength + ipLength < this.gathered)
  }

  /** A legacy checksum that starts or stands outside of the packet is not inserted (82599 §7.2.3.2.1). */
  private checkSum(): void {
    const { asked } = this.offloader
    if (asked.sumAt === 0 || (asked.sumFrom < this.gathered && asked.sumAt + 2 <= this.gathered)) return
    this.strict.report('7.2.3.2.1', 'CSS or CSO of a legacy transmit descriptor is outside of the packet')
    asked.sumAt = 0
  }

  /** The current frame is sent: the next one, if there is one. */
  advance(pad: boolean): void {
    this.left--
    if (this.left > 0) this.build(pad)
  }

  private build(pad: boolean): void {
    const { offloader, padded } = this
    this.length = offloader.build()
    this.memory = offloader.result()
    if (!pad || this.length >= MIN_FRAME_BYTES) return
    copyBytes(this.memory, 0, padded, 0, this.length)
    padded.u8.fill(0, this.length, MIN_FRAME_BYTES)
    this.memory = padded
    this.length = MIN_FRAME_BYTES
  }
}

/** Why this can't be a descriptor of a packet, '' if it can. `legacy`: the packet's first one is. */
function faultOf(command: number, legacy: boolean): string {
  if (((command & D.DEXT) === 0) !== legacy) return 'legacy and advanced transmit descriptors in one packet'
  if (legacy) return ''
  switch (command & D.DTYP_MASK) {
    case D.DTYP_DATA:
      return ''
    case D.DTYP_CONTEXT:
      return 'context descriptor in the middle of a packet'
    default:
      return 'transmit descriptor of a reserved type'
  }
}
