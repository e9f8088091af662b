/** One transmit queue: from descriptors to frames (82599 §7.2.3). */
import { get } from '../../driver/ixgbe/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { type Bytes, copyBytes } from '../../packet/bytes.ts'
import type { DmaMap } from './dma.ts'
import type { RegisterFile } from './registers.ts'
import { NO_BYTES, Ring, type RingRegisters } from './ring.ts'
import { castSum, MAX_FRAME, MIN_FRAME, SIZE_CLASS, Sum, SUMS } from './statistics.ts'
import type { Strict } from './strict.ts'
import * as D from './tx-descriptor.ts'
import { Fed, TxPacket } from './tx-packet.ts'
import { store } from './write-back.ts'
import { BURST, Burst } from '../wires/wire.ts'

export const TX_REGISTERS: RingRegisters = {
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
  /** The same for several; returns how many it has taken. */
  sendBurst(burst: Burst, now: number): number
}

export class TxQueue extends Ring {
  readonly sums = new Int32Array(SUMS)
  /** The last run() has written back a status: the queue's interrupt is due. */
  statusReported = false
  private readonly packet: TxPacket
  private readonly burst = new Burst(NO_BYTES)
  /**
   * First byte of each frame of the burst. Read together with the descriptors, because a short loop has the CPU wait for
   * many frames at once, where one that works on each of them would wait for each.
   */
  private readonly starts = new Uint8Array(BURST)
  /** Descriptors of the packet that is being sent the long way. */
  private packetEnd = 0

  constructor(index: number, registers: RegisterFile, dma: DmaMap, strict: Strict) {
    super(TX_REGISTERS, index, registers, dma, strict)
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
    this.statusReported = false
    let done = 0
    for (let packets = 0; packets < budget && available > 0;) {
      const found = this.gather(Math.min(available, budget - packets))
      let used: number
      if (found > 0) {
        used = egress.sendBurst(this.burst, now)
        this.finishBurst(used)
        packets += used
      } else {
        used = this.runPacket(egress, available, pad, now)
        this.report(used)
        packets++
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
    const { words, burst, starts } = this
    const { offsets, lengths } = burst
    const limit = Math.min(most, BURST, this.entries - this.head)
    const head = this.first + (this.head << 2)
    this.reach(words[head] + words[head + 1] * 4294967296, words[head + 2] & 0xffff)
    const { bufferBase, bufferSize } = this
    const { u8 } = this.buffer
    let count = 0
    for (let word = head; count < limit; count++, word += 4) {
      const command = words[word + 2]
      const length = command & 0xffff
      if (
        (command & D.SIMPLE_MASK) !== D.SIMPLE ||
        words[word + 3] !== length << D.PAYLEN_SHIFT ||
        length < MIN_FRAME ||
        length > MAX_FRAME
      )
        break
      const offset = words[word] + words[word + 1] * 4294967296 - bufferBase
      if (offset < 0 || offset + length > bufferSize) break
      offsets[count] = offset
      lengths[count] = length
      starts[count] = u8[offset]
    }
    burst.memory = this.buffer
    burst.count = count
    return count
  }

  /** Makes the region of a buffer current, if there is one. */
  private reach(iova: number, bytes: number): void {
    const offset = iova - this.bufferBase
    if (offset >= 0 && offset + bytes <= this.bufferSize) return
    const region = this.dma.find(iova, bytes)
    if (region !== null) this.use(region)
  }

  /** Counts the first `count` frames of the burst, which are sent, and reports those that ask for it. */
  private finishBurst(count: number): void {
    const { words, sums, starts } = this
    const { memory, offsets, lengths } = this.burst
    let bytes = 0
    let word = this.first + (this.head << 2)
    for (let i = 0; i < count; i++, word += 4) {
      const length = lengths[i]
      bytes += length
      sums[Sum.SIZES + SIZE_CLASS[length]]++
      if ((starts[i] & 1) === 1) sums[castSum(memory.u8, offsets[i])]++
      if ((words[word + 2] & D.RS) === 0) continue
      store(words, word + 3, D.DD)
      this.statusReported = true
    }
    sums[Sum.PACKETS] += count
    sums[Sum.BYTES] += bytes
  }

  /** Writes DD into those of `count` descriptors from the head on that asked for it. */
  private report(count: number): void {
    const { words, first, entries, head } = this
    for (let i = 0; i < count; i++) {
      const word = first + (((head + i) % entries) << 2)
      if ((words[word + 2] & D.RS) === 0) continue
      store(words, word + 3, D.DD)
      this.statusReported = true
    }
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
    if ((u8[offset] & 1) === 1) sums[castSum(u8, offset)]++
  }
}
