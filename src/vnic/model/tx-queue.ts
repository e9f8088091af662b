/** One transmit queue: from descriptors to frames (82599 §7.2.3). */
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { type Bytes, copyBytes } from '../../packet/bytes.ts'
import { MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import { BURST, type Burst, FRAME_ROOM } from '../burst.ts'
import { sharedLoops } from '../wasm-loops.ts'
import type { DmaMap } from './dma.ts'
import type { CardRegisters } from './registers.ts'
import { Ring, type RingRegisters } from './ring.ts'
import { castSum, SIZE_CLASS, Sum } from './statistics.ts'
import type { Strict } from './strict.ts'
import * as D from './tx-descriptor.ts'
import { Fed, TxPacket } from './tx-packet.ts'
import { store } from './write-back.ts'

export const TX_REGISTERS: RingRegisters = {
  kind: 'transmit',
  baseLow: REG.TDBAL,
  baseHigh: REG.TDBAH,
  length: REG.TDLEN,
  head: REG.TDH,
  tail: REG.TDT,
  control: REG.TXDCTL,
}

/** Where frames go. Returns false to be asked again later with the same frame. */
export interface Egress {
  send(memory: Bytes, offset: number, length: number, now: number): boolean
  /** The same for several; returns how many it has taken. */
  sendBurst(burst: Burst, now: number): number
  /** Milliseconds on a monotonic clock: when a frame leaves that is given to send() now. */
  moment(): number
  /** The frame that send() has taken last was to get a time stamp; it left at `moment`. */
  stamp(moment: number): void
}

/**
 * What a run() costs, in frames of the fast path: a descriptor that goes the long way and each KiB it brings, a frame that
 * comes out of that, and each 128 bytes of it (checksums).
 */
const FRAME_COST = 4
const KIB_SHIFT = 10
const CHECKSUM_SHIFT = 7

export class TxQueue extends Ring {
  /** The last run() has written back a status: the queue's interrupt is due. */
  statusReported = false
  /** Packets that could not be sent: their descriptors are wrong. */
  invalid = 0
  /** What the last run() has done, in frames of the fast path: 0 if nothing. */
  spent = 0
  private readonly packet: TxPacket
  private readonly loops = sharedLoops()
  /** For frames on their way; all queues of a NIC share it. */
  private readonly burst: Burst
  /** Descriptors of the packet that is being sent the long way. */
  private packetEnd = 0
  /** Descriptors of a packet, not yet complete, that have been read already. */
  private fed = 0
  /** What is written into word 3 of each descriptor that has been read; 0: nothing. */
  private answers = new Uint32Array(0)

  constructor(index: number, registers: CardRegisters, dma: DmaMap, strict: Strict, burst: Burst) {
    super(TX_REGISTERS, index, registers, dma, strict)
    this.burst = burst
    this.packet = new TxPacket(registers, strict, (iova, bytes, target, offset) =>
      this.fetch(iova, bytes, target, offset),
    )
  }

  override enable(): void {
    this.forgetPacket()
    if (this.registers.get(REG.TDT, this.index) !== this.registers.get(REG.TDH, this.index))
      this.strict.report('4.6.8.1', 'TDT moved before the transmit queue was enabled')
    if (!this.registers.test(REG.DMATXCTL, REG.DMATXCTL.fields.TE.mask))
      this.strict.report('4.6.8.1', 'transmit queue enabled before DMATXCTL.TE')
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
    this.forgetPacket()
    super.disable()
  }

  protected override resolve(): boolean {
    if (!super.resolve()) return false
    if (this.answers.length !== this.entries) this.answers = new Uint32Array(this.entries)
    return true
  }

  private forgetPacket(): void {
    this.packet.clear()
    this.fed = 0
  }

  /**
   * Sends until `budget` is spent (see `spent`; a little more at most), in the middle of a packet if need be. Returns how
   * many descriptors were used up; fewer than there are if the egress is full. `pad`: short frames are filled up
   * (HLREG0.TXPADEN).
   */
  run(egress: Egress, budget: number, pad: boolean, now: number): number {
    let available = this.refresh()
    // The host has taken descriptors back: a tail that was left behind, say.
    if (this.fed > available) this.forgetPacket()
    this.statusReported = false
    this.spent = 0
    let done = 0
    while (this.spent < budget && available > 0) {
      const begun = this.fed > 0 || this.packet.pending
      const found = begun ? 0 : this.gather(Math.min(available, budget - this.spent))
      let used: number
      if (found > 0) {
        used = egress.sendBurst(this.burst, now)
        this.finishBurst(used)
        this.spent += used
      } else {
        used = this.runPacket(egress, available, budget, pad, now)
        this.report(used)
      }
      done += used
      available -= used
      this.head = (this.head + used) % this.entries
      if (used === 0 || used < found) break
    }
    return done
  }

  /**
   * Collects frames that are one descriptor each and ask for nothing, from the head on: up to `most`, the end of the
   * ring, or the first that is something else or lies in another region. Returns how many, 0 if not even the first.
   */
  private gather(most: number): number {
    const { words, burst, head } = this
    const word = this.first + (head << 2)
    this.reach(words[word] + words[word + 1] * 4294967296, words[word + 2] & 0xffff)
    burst.count = 0
    if (words !== burst.memory.u32 || this.buffer !== burst.memory) return 0
    burst.count = this.loops.gather(
      word << 2,
      Math.min(most, BURST, this.entries - head),
      this.bufferBase,
      this.bufferFirst,
      this.bufferEnd,
      MIN_FRAME_BYTES,
      FRAME_ROOM,
      burst.offsetsAt,
      burst.lengthsAt,
      burst.starts,
    )
    return burst.count
  }

  /** Makes the region of a buffer current, if there is one. */
  private reach(iova: number, bytes: number): void {
    const offset = iova - this.bufferBase
    if (offset >= this.bufferFirst && offset + bytes <= this.bufferEnd) return
    const region = this.dma.find(iova, bytes)
    if (region !== null) this.use(region)
  }

  /** Counts the first `count` frames of the burst, which are sent, and reports those that ask for it. */
  private finishBurst(count: number): void {
    const { offsetsAt, lengthsAt, starts } = this.burst
    const descriptor = (this.first + (this.head << 2)) << 2
    if (this.loops.finish(descriptor, count, offsetsAt, lengthsAt, starts, this.sumsAt) !== 0)
      this.statusReported = true
  }

  /** Writes DD into those of `count` descriptors from the head on that asked for it. */
  private report(count: number): void {
    const { words, first, entries, head, answers } = this
    for (let i = 0; i < count; i++) {
      const index = (head + i) % entries
      if (answers[index] === 0) continue
      store(words, first + (index << 2) + 3, answers[index])
      this.statusReported = true
    }
  }

  /**
   * One packet of any kind from the head. Returns the descriptors it took, 0 if it isn't complete yet, the egress is full or
   * the budget is spent. What can't be sent is dropped and reported.
   */
  private runPacket(egress: Egress, available: number, budget: number, pad: boolean, now: number): number {
    const { packet } = this
    if (!packet.pending) {
      if (this.fed === 0) packet.begin()
      let state: Fed = Fed.MORE
      while (state === Fed.MORE) {
        if (this.fed >= available || this.spent >= budget) return 0
        state = this.feed(pad)
      }
      const used = this.fed
      this.fed = 0
      if (state === Fed.DROPPED) this.invalid++
      if (state !== Fed.COMPLETE) return used
      this.packetEnd = used
    }
    while (packet.pending) {
      if (this.spent >= budget) return 0
      // Before it is sent: whoever has it may send it back before this thread runs on.
      const moment = packet.timed ? egress.moment() : 0
      if (!egress.send(packet.memory, 0, packet.length, now)) return 0
      if (packet.timed) egress.stamp(moment)
      this.count(packet.memory.u8, 0, packet.length)
      this.spent += FRAME_COST + (packet.length >> CHECKSUM_SHIFT)
      packet.advance(pad)
    }
    return this.packetEnd
  }

  /** Gives the packet its next descriptor. */
  private feed(pad: boolean): Fed {
    const { words, first, entries } = this
    const index = (this.head + this.fed++) % entries
    const word = first + (index << 2)
    // Each word is read once: the host may change it meanwhile.
    const command = words[word + 2]
    const options = words[word + 3]
    // A legacy descriptor keeps what else is in that word.
    this.answers[index] = (command & D.RS) === 0 ? 0 : D.DD | ((command & D.DEXT) === 0 ? options : 0)
    this.spent += 1 + ((command & 0xffff) >> KIB_SHIFT)
    return this.packet.feed(words[word], words[word + 1], command, options, pad)
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
    if ((u8[offset] & 1) === 1) sums[castSum(u8, offset)]++
  }
}
