/**
 * One receive queue: frames into the host's buffers, with legacy (82599 §7.1.5) or advanced one-buffer descriptors (§7.1.6).
 *
 *     read      │ buffer address, 64 bit           │ (header buffer address)              │
 *     legacy    │ as it was                        │ length, checksum │ status, errors, VLAN │
 *     advanced  │ RSS and packet type │ RSS hash   │ status, errors   │ length, VLAN         │
 */
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { type Bytes, copyBytes } from '../../packet/bytes.ts'
import { MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import type { Burst } from '../burst.ts'
import { sharedLoops } from '../wasm-loops.ts'
import type { DmaMap } from './dma.ts'
import type { CardRegisters } from './registers.ts'
import { Ring, type RingRegisters } from './ring.ts'
import * as V from './rx-verdict.ts'
import { SIZE_CLASS, Sum } from './statistics.ts'
import type { Strict } from './strict.ts'
import { Pairs } from './write-back.ts'

export const RX_REGISTERS: RingRegisters = {
  kind: 'receive',
  baseLow: REG.RDBAL,
  baseHigh: REG.RDBAH,
  length: REG.RDLEN,
  head: REG.RDH,
  tail: REG.RDT,
  control: REG.RXDCTL,
}

/** Status bits in word 2 of the write-back descriptor (82599 §7.1.6.2). */
export const RxStatus = {
  DD: 1 << 0,
  EOP: 1 << 1,
  /** The VLAN tag was taken off and is in word 3. */
  VP: 1 << 3,
  UDPCS: V.UDPCS,
  L4CS: V.L4CS,
  IPCS: V.IPCS,
  /** There is a time stamp of this frame. */
  TS: 1 << 16,
  /** Errors: bad TCP/UDP checksum, bad IP header checksum. */
  L4E: 1 << 30,
  IPE: 1 << 31,
} as const

/** SRRCTL.DESCTYPE: those that are modelled. */
const LEGACY = 0
const ONE_BUFFER = 1

/** Legacy descriptors have the same status bits but FLM, and the errors' highest eight of 16 in word 3. */
const LEGACY_STATUS = 0xfb
const LEGACY_ERRORS = 0xff00
const ERRORS_SHIFT = 16

/** In place of the EtherType of VLAN tags. */
export const NOT_LOOKED_INTO = -1

const NO_PAIRS = new Pairs(new Uint32Array(4), 0, 2)

export class RxQueue extends Ring {
  /** Bytes of each buffer: SRRCTL.BSIZEPACKET. */
  bufferBytes = 2048
  stripVlan = false
  dropEnabled = false
  private legacy = false
  private pairs = NO_PAIRS
  private readonly loops = sharedLoops()

  constructor(index: number, registers: CardRegisters, dma: DmaMap, strict: Strict) {
    super(RX_REGISTERS, index, registers, dma, strict)
  }

  override enable(): void {
    if (this.registers.get(REG.RDT, this.index) !== this.registers.get(REG.RDH, this.index))
      this.strict.report('4.6.7.1', 'RDT moved before the receive queue was enabled')
    const type = get(REG.SRRCTL.fields.DESCTYPE, this.registers.get(REG.SRRCTL, this.index))
    if (type !== LEGACY && type !== ONE_BUFFER)
      this.strict.report(
        '8.2.3.8.7',
        'receive queue enabled with a descriptor type other than legacy and advanced one-buffer',
      )
    super.enable()
  }

  override invalidate(): void {
    super.invalidate()
    this.pairs = NO_PAIRS
  }

  protected override resolve(): boolean {
    if (!super.resolve()) return false
    this.pairs = new Pairs(this.words, this.first, this.entries * 2)
    return true
  }

  /** Takes over SRRCTL and RXDCTL. */
  configure(): void {
    const srrctl = this.registers.get(REG.SRRCTL, this.index)
    this.legacy = get(REG.SRRCTL.fields.DESCTYPE, srrctl) === LEGACY
    this.bufferBytes = get(REG.SRRCTL.fields.BSIZEPACKET, srrctl) * 1024
    if (this.bufferBytes === 0) {
      this.strict.report('8.2.3.8.7', 'SRRCTL.BSIZEPACKET is 0')
      this.bufferBytes = 2048
    }
    this.dropEnabled = (srrctl & REG.SRRCTL.fields.DROP_EN.mask) !== 0
    this.stripVlan = this.registers.test(REG.RXDCTL, REG.RXDCTL.fields.VME.mask, this.index)
  }

  /**
   * The fast path: frames of a burst from its frame `from` on, each into one buffer of the region used last. Returns how many it
   * has put; it stops before one that must go the long way (put), is no frame of MIN_FRAME_BYTES to `limit` bytes, or is for
   * the MAC itself. Legacy descriptors all go the long way. `vlanType`: EtherType of VLAN tags, if packet types and checksums are to
   * be reported, and then what is not quite ordinary goes the long way, too (../wasm/look.ts); else NOT_LOOKED_INTO.
   *
   * The frames are copied first, then their descriptors are written. So the host, which polls the first one on another CPU,
   * and this one don't take the same cache line from each other for every frame.
   */
  putBurst(burst: Burst, from: number, limit: number, vlanType: number): number {
    const { memory, offsetsAt, lengthsAt, verdictsAt } = burst
    if (this.legacy || this.refresh() === 0 || this.buffer !== memory || this.words !== memory.u32) return 0
    const { head, tail, entries } = this
    const at = (burst.first + from) << 2
    const count = this.loops.put(
      (this.first + (head << 2)) << 2,
      Math.min((tail < head ? entries : tail) - head, burst.count - from),
      this.bufferBase,
      this.bufferFirst,
      this.bufferEnd,
      offsetsAt + at,
      lengthsAt + at,
      MIN_FRAME_BYTES,
      Math.min(limit, this.bufferBytes),
      RxStatus.DD | RxStatus.EOP,
      this.sumsAt,
      vlanType,
      verdictsAt,
    )
    this.head = head + count === entries ? 0 : head + count
    return count
  }

  /**
   * Writes a frame of `length` bytes and its descriptors. `word0` (RSS and packet type), `hash`, `status` (without DD
   * and EOP) and `tag` go into the last descriptor. Returns false if there are not enough descriptors.
   */
  put(
    memory: Bytes,
    offset: number,
    length: number,
    word0: number,
    hash: number,
    status: number,
    tag: number,
  ): boolean {
    if (this.head === this.tail && this.refresh() === 0) return false
    if (length > this.bufferBytes) return this.putChain(memory, offset, length, word0, hash, status, tag)
    this.fill(memory, offset, length)
    this.writeBack(word0, hash, status | RxStatus.DD | RxStatus.EOP, length | (tag << 16))
    const { sums } = this
    sums[Sum.PACKETS]++
    sums[Sum.BYTES] += length
    sums[Sum.SIZES + SIZE_CLASS[length]]++
    return true
  }

  /** Copies into the buffer of the descriptor at the head. */
  private fill(memory: Bytes, offset: number, length: number): void {
    const { words } = this
    const word = this.first + (this.head << 2)
    const iova = words[word] + words[word + 1] * 4294967296
    let at = iova - this.bufferBase
    if (at < this.bufferFirst || at + length > this.bufferEnd) {
      if (!this.seek(iova, length, true)) return
      at = iova - this.bufferBase
    }
    copyBytes(memory, offset, this.buffer, at | 0, length)
  }

  /** Overwrites the descriptor at the head, status and length at once, and moves on. */
  private writeBack(word0: number, hash: number, status: number, word3: number): void {
    const { words, head, pairs } = this
    if (this.legacy) {
      const errors = (status >>> ERRORS_SHIFT) & LEGACY_ERRORS
      pairs.store(2 * head + 1, word3 & 0xffff, (word3 & ~0xffff) | errors | (status & LEGACY_STATUS))
    } else {
      const word = this.first + (head << 2)
      words[word] = word0
      words[word + 1] = hash
      pairs.store(2 * head + 1, status, word3)
    }
    this.head = head + 1 === this.entries ? 0 : head + 1
  }

  /** A frame larger than a buffer takes several descriptors; only the last has EOP (82599 §7.1.6.2). */
  private putChain(
    memory: Bytes,
    offset: number,
    length: number,
    word0: number,
    hash: number,
    status: number,
    tag: number,
  ): boolean {
    const { bufferBytes, sums } = this
    if (this.refresh() < Math.ceil(length / bufferBytes)) return false
    let done = 0
    while (length - done > bufferBytes) {
      this.fill(memory, offset + done, bufferBytes)
      this.writeBack(0, 0, RxStatus.DD, bufferBytes)
      done += bufferBytes
    }
    this.fill(memory, offset + done, length - done)
    this.writeBack(word0, hash, status | RxStatus.DD | RxStatus.EOP, (length - done) | (tag << 16))
    sums[Sum.PACKETS]++
    sums[Sum.BYTES] += length
    sums[Sum.SIZES + SIZE_CLASS[length]]++
    return true
  }
}
