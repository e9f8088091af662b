/** One transmit queue: from descriptors to frames (82599 §7.2.3). */
import { get } from '../../driver/ixgbe/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { type Bytes, copyBytes } from '../../packet/bytes.ts'
import type { DmaMap } from './dma.ts'
import type { RegisterFile } from './registers.ts'
import { Ring, type RingRegisters } from './ring.ts'
import { MAX_FRAME, MIN_FRAME, SIZE_CLASS, Sum, SUMS } from './statistics.ts'
import type { Strict } from './strict.ts'
import * as D from './tx-descriptor.ts'
import { Fed, TxPacket } from './tx-packet.ts'
import { store } from './write-back.ts'

const REGISTERS: RingRegisters = {
  kind: 'transmit',
  baseLow: REG.TDBAL,
  baseHigh: REG.TDBAH,
  length: REG.TDLEN,
  head: REG.TDH,
  tail: REG.TDT,
}

/** Where frames go. Returns false to be asked again later with the same frame. */
export interface Egress {
  send(memory: Bytes, offset: number, length: number, now: number): boolean
}

export class TxQueue extends Ring {
  readonly sums = new Int32Array(SUMS)
  /** The last run() has written back a status: the queue's interrupt is due. */
  statusReported = false
  private readonly packet: TxPacket
  /** Descriptors of the packet that is being sent the long way. */
  private packetEnd = 0

  constructor(index: number, registers: RegisterFile, dma: DmaMap, strict: Strict) {
    super(REGISTERS, index, registers, dma, strict)
    this.packet = new TxPacket(registers, strict, (iova, bytes, target, offset) =>
      this.fetch(iova, bytes, target, offset),
    )
  }

  override enable(): void {
    this.packet.clear()
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
    this.packet.clear()
    super.disable()
  }

  /**
   * Sends up to `budget` packets. Returns how many descriptors were used up; fewer than there are if the egress is
   * full. `pad`: short frames are filled up (HLREG0.TXPADEN).
   */
  run(egress: Egress, budget: number, pad: boolean, now: number): number {
    let available = this.refresh()
    if (available === 0) return 0
    const { words, first, entries } = this
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
          this.count(buffer.u8, at, length)
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
    const { words, first, entries, packet } = this
    if (!packet.pending) {
      packet.begin()
      let fed: Fed = Fed.MORE
      let used = 0
      while (fed === Fed.MORE) {
        if (used === available) return 0
        const word = first + (((this.head + used++) % entries) << 2)
        fed = packet.feed(words[word], words[word + 1], words[word + 2], words[word + 3], pad)
      }
      if (fed !== Fed.COMPLETE) return used
      this.packetEnd = used
    }
    while (packet.pending) {
      if (!egress.send(packet.memory, 0, packet.length, now)) return 0
      this.count(packet.memory.u8, 0, packet.length)
      packet.advance(pad)
    }
    return this.packetEnd
  }

  private fetch(iova: number, bytes: number, target: Bytes, offset: number): boolean {
    if (!this.seek(iova, bytes, false)) return false
    copyBytes(this.buffer, iova - this.bufferBase, target, offset, bytes)
    return true
  }

  private count(u8: Uint8Array, offset: number, length: number): void {
    const { sums } = this
    sums[Sum.PACKETS]++
    sums[Sum.BYTES] += length
    sums[Sum.SIZES + SIZE_CLASS[length]]++
    if ((u8[offset] & 1) === 1) this.countMulticast(u8, offset)
  }

  private countMulticast(u8: Uint8Array, offset: number): void {
    for (let i = 0; i < 6; i++) {
      if (u8[offset + i] === 0xff) continue
      this.sums[Sum.MULTICAST]++
      return
    }
    this.sums[Sum.BROADCAST]++
  }
}
