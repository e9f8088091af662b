/** One transmit queue: from descriptors to frames (82599 §7.2.3). */
import { get } from '../../driver/ixgbe/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import type { DmaMap } from './dma.ts'
import type { RegisterFile } from './registers.ts'
import { Ring, type RingRegisters } from './ring.ts'
import { MAX_FRAME, SIZE_CLASS, Sum, SUMS } from './statistics.ts'
import type { Strict } from './strict.ts'
import * as D from './tx-descriptor.ts'
import { MAX_PACKET, Offloader } from './tx-offload.ts'
import { store } from './write-back.ts'

const REGISTERS: RingRegisters = {
  kind: 'transmit',
  baseLow: REG.TDBAL,
  baseHigh: REG.TDBAH,
  length: REG.TDLEN,
  head: REG.TDH,
  tail: REG.TDT,
}

const MIN_FRAME = 60
/** The card pads only frames of at least this size (82599 §7.2.3.2.4: DTALEN). */
const SHORTEST = 17
/** Word 3 below PAYLEN. */
const OPTIONS = (1 << D.PAYLEN_SHIFT) - 1
/** Descriptors one packet may use (82599 §7.2.3.3). */
const MAX_DESCRIPTORS = 40

/** Where frames go. Returns false to be asked again later with the same frame. */
export interface Egress {
  send(memory: Bytes, offset: number, length: number, now: number): boolean
}

export class TxQueue extends Ring {
  readonly sums = new Int32Array(SUMS)
  /** A frame of several that one packet was cut into could not be sent yet. */
  private pendingFrames = 0
  private pendingLength = 0
  private pendingEnd = 0
  private readonly padded = allocateBytes(64)
  private readonly contexts = [D.newContext(), D.newContext()]
  /** Made when the queue first needs it: its buffers are large. */
  private own: Offloader | undefined

  constructor(index: number, registers: RegisterFile, dma: DmaMap, strict: Strict) {
    super(REGISTERS, index, registers, dma, strict)
  }

  private get offloader(): Offloader {
    this.own ??= new Offloader()
    return this.own
  }

  override enable(): void {
    this.pendingFrames = 0
    const { HTHRESH, WTHRESH, PTHRESH } = REG.TXDCTL.fields
    const txdctl = this.registers.get(REG.TXDCTL, this.index)
    if (get(PTHRESH, txdctl) > 0 && get(HTHRESH, txdctl) === 0)
      this.strict.report('8.2.3.9.10', 'TXDCTL.HTHRESH is 0 although PTHRESH is used')
    if (
      get(WTHRESH, txdctl) > 0 &&
      this.registers.test(REG.TDWBAL, REG.TDWBAL.fields.HEAD_WB_EN.mask, this.index)
    )
      this.strict.report('7.2.3.5.2', 'head write-back with TXDCTL.WTHRESH other than 0')
    super.enable()
  }

  override disable(): void {
    this.pendingFrames = 0
    super.disable()
  }

  /**
   * Sends up to `budget` packets. Returns how many descriptors were used up; fewer than there are if the egress is
   * full. `pad`: short frames are filled up (HLREG0.TXPADEN).
   */
  run(egress: Egress, budget: number, pad: boolean, now: number): number {
    let available = this.refresh()
    if (available === 0) return 0
    const { words, first, entries, sums } = this
    let head = this.head
    let done = 0
    let reported = false
    for (let packets = 0; packets < budget && available > 0; packets++) {
      const word = first + (head << 2)
      const command = words[word + 2]
      const length = command & 0xffff
      let used = 1
      if (
        (command & D.SIMPLE_MASK) === D.SIMPLE &&
        words[word + 3] === length << D.PAYLEN_SHIFT &&
        length >= MIN_FRAME &&
        length <= MAX_FRAME
      ) {
        const iova = words[word] + words[word + 1] * 4294967296
        let at = iova - this.bufferBase
        let reachable = true
        if (at < 0 || at + length > this.bufferSize) {
          reachable = this.seek(iova, length, false)
          at = iova - this.bufferBase
        }
        if (reachable) {
          const { buffer } = this
          if (!egress.send(buffer, at | 0, length, now)) break
          sums[Sum.PACKETS]++
          sums[Sum.BYTES] += length
          sums[Sum.SIZES + SIZE_CLASS[length]]++
          if ((buffer.u8[at] & 1) === 1) this.countMulticast(buffer.u8, at)
        }
        if ((command & D.RS) !== 0) {
          store(words, word + 3, D.DD)
          reported = true
        }
      } else {
        this.head = head
        used = this.runPacket(egress, available, pad, now)
        if (used === 0) break
        reported = this.report(head, used) || reported
      }
      done += used
      available -= used
      head += used
      if (head >= entries) head -= entries
    }
    this.head = head
    this.statusReported = reported
    return done
  }

  /** The last run() has written back a status: the queue's interrupt is due. */
  statusReported = false

  /** Writes DD into those of `count` descriptors from `head` on that asked for it. */
  private report(head: number, count: number): boolean {
    const { words, first, entries } = this
    let reported = false
    for (let i = 0; i < count; i++) {
      const word = first + (((head + i) % entries) << 2)
      if ((words[word + 2] & D.RS) === 0) continue
      store(words, word + 3, D.DD)
      reported = true
    }
    return reported
  }

  /**
   * One packet of any kind from the head. Returns the descriptors it took, 0 if it isn't complete yet or the egress is
   * full. What can't be sent is dropped and reported.
   */
  private runPacket(egress: Egress, available: number, pad: boolean, now: number): number {
    if (this.pendingFrames > 0) return this.resume(egress, pad, now)
    const { words, first, entries, strict, offloader } = this
    let length = 0
    let intact = true
    for (let used = 0; used < available; used++) {
      const word = first + (((this.head + used) % entries) << 2)
      const command = words[word + 2]
      if ((command & D.DEXT) === 0) {
        strict.report('7.2.3.2.2', 'legacy transmit descriptor: the virtual card knows advanced ones only')
        intact = false
      } else if ((command & D.DTYP_MASK) === D.DTYP_CONTEXT) {
        if (length === 0) {
          D.readContext(
            this.contexts[(words[word + 3] >>> D.IDX_SHIFT) & 1],
            words[word],
            command,
            words[word + 3],
          )
          return used + 1
        }
        strict.report('7.2.3.2.3', 'context descriptor in the middle of a packet')
        intact = false
      } else if ((command & D.DTYP_MASK) !== D.DTYP_DATA) {
        strict.report('7.2.3.2', 'transmit descriptor of a reserved type')
        intact = false
      }
      if (intact) intact = this.gather(word, length, length === 0)
      length += command & 0xffff
      if ((command & D.EOP) === 0) continue
      if (used >= MAX_DESCRIPTORS)
        strict.report('7.2.3.3', `packet of more than ${MAX_DESCRIPTORS} descriptors`)
      if (!intact) return used + 1
      this.pendingLength = length
      this.pendingEnd = used + 1
      this.pendingFrames = this.checkLength(length) ? offloader.begin(length) : 0
      if (this.pendingFrames === 0) {
        strict.report(
          '7.2.4',
          'packet that the card can not send: too short, too long or without its context',
        )
        return used + 1
      }
      this.pendingFrames++
      return this.resume(egress, pad, now)
    }
    return 0
  }

  /** Copies one data descriptor's buffer behind the others, and takes over what the first one asks for. */
  private gather(word: number, length: number, isFirst: boolean): boolean {
    const { words, strict, offloader } = this
    const command = words[word + 2]
    const options = words[word + 3]
    const bytes = command & 0xffff
    if (
      (command & D.DATA_RESERVED) !== 0 ||
      (options & OPTIONS & ~(D.CC | D.IXSM | D.TXSM | D.IPSEC | 0x70)) !== 0
    )
      strict.report('7.2.3.2.4', 'reserved bits of a transmit data descriptor are not zero')
    if ((command & D.IFCS) === 0) strict.report('7.2.3.2.4', 'transmit data descriptor without IFCS')
    if (isFirst) this.ask(command, options)
    if (length + bytes > MAX_PACKET) return false
    const iova = words[word] + words[word + 1] * 4294967296
    if (bytes === 0) return true
    if (!this.seek(iova, bytes, false)) return false
    copyBytes(this.buffer, iova - this.bufferBase, offloader.frame, length, bytes)
    return true
  }

  private ask(command: number, options: number): void {
    const { asked } = this.offloader
    asked.segment = (command & D.TSE) !== 0
    asked.insertVlan = (command & D.VLE) !== 0
    asked.ipChecksum = (options & D.IXSM) !== 0
    asked.l4Checksum = (options & D.TXSM) !== 0
    Object.assign(asked.context, this.contexts[(options >>> D.IDX_SHIFT) & 1])
    const { registers } = this
    this.offloader.vlanType = get(REG.DMATXCTL.fields.VT, registers.get(REG.DMATXCTL))
    this.offloader.flagsFirst = get(REG.DTXTCPFLGL.fields.FIRST, registers.get(REG.DTXTCPFLGL))
    this.offloader.flagsMiddle = get(REG.DTXTCPFLGL.fields.MIDDLE, registers.get(REG.DTXTCPFLGL))
    this.offloader.flagsLast = get(REG.DTXTCPFLGH.fields.LAST, registers.get(REG.DTXTCPFLGH))
    const needed =
      asked.context.macLength + asked.context.ipLength + (asked.segment ? asked.context.l4Length : 0)
    const paylen = options >>> D.PAYLEN_SHIFT
    this.expectedLength = asked.segment ? paylen + needed : paylen
  }

  /** Frame length by PAYLEN, which is the payload alone with segmentation (82599 §7.2.3.2.4). */
  private expectedLength = 0

  private checkLength(length: number): boolean {
    const { asked } = this.offloader
    if (length !== this.expectedLength)
      this.strict.report('7.2.3.2.4', 'PAYLEN is not the size of the packet')
    const { macLength, ipLength } = asked.context
    const offload = asked.segment || asked.ipChecksum || asked.l4Checksum
    return length >= SHORTEST && (!offload || (macLength > 0 && macLength + ipLength < length))
  }

  /** Sends what is left of the current packet. `pendingFrames` is one more than the frames still to be built. */
  private resume(egress: Egress, pad: boolean, now: number): number {
    const { offloader, sums } = this
    if (!this.built) {
      this.pendingLength = offloader.build()
      this.built = true
    }
    while (true) {
      let memory = offloader.result()
      let length = this.pendingLength
      if (length < MIN_FRAME && pad) {
        copyBytes(memory, 0, this.padded, 0, length)
        this.padded.u8.fill(0, length, MIN_FRAME)
        memory = this.padded
        length = MIN_FRAME
      }
      if (!egress.send(memory, 0, length, now)) return 0
      this.built = false
      sums[Sum.PACKETS]++
      sums[Sum.BYTES] += length
      sums[Sum.SIZES + SIZE_CLASS[length]]++
      if ((memory.u8[0] & 1) === 1) this.countMulticast(memory.u8, 0)
      this.pendingFrames--
      if (this.pendingFrames === 1) {
        this.pendingFrames = 0
        return this.pendingEnd
      }
      this.pendingLength = offloader.build()
      this.built = true
    }
  }

  /** The offloader's result is the next frame to send. */
  private built = false

  private countMulticast(u8: Uint8Array, offset: number): void {
    for (let i = 0; i < 6; i++) {
      if (u8[offset + i] === 0xff) continue
      this.sums[Sum.MULTICAST]++
      return
    }
    this.sums[Sum.BROADCAST]++
  }
}
