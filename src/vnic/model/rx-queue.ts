/** One receive queue: frames into the host's buffers, advanced one-buffer descriptors (82599 §7.1.6). */
import { get } from '../../driver/ixgbe/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { type Bytes, copyBytes } from '../../packet/bytes.ts'
import type { DmaMap } from './dma.ts'
import type { RegisterFile } from './registers.ts'
import { Ring, type RingRegisters } from './ring.ts'
import { castSum, MIN_FRAME, SIZE_CLASS, Sum, SUMS } from './statistics.ts'
import type { Strict } from './strict.ts'
import { store } from './write-back.ts'
import { BURST, type Burst } from '../wires/wire.ts'

export const RX_REGISTERS: RingRegisters = {
  kind: 'receive',
  baseLow: REG.RDBAL,
  baseHigh: REG.RDBAH,
  length: REG.RDLEN,
  head: REG.RDH,
  tail: REG.RDT,
}

/** Status bits in word 2 of the write-back descriptor (82599 §7.1.6.2). */
export const RxStatus = {
  DD: 1 << 0,
  EOP: 1 << 1,
  /** The VLAN tag was taken off and is in word 3. */
  VP: 1 << 3,
  UDPCS: 1 << 4,
  L4CS: 1 << 5,
  IPCS: 1 << 6,
  /** Errors: bad TCP/UDP checksum, bad IP header checksum. */
  L4E: 1 << 30,
  IPE: 1 << 31,
} as const

/** SRRCTL.DESCTYPE: the only one modelled. */
const ONE_BUFFER = 1

export class RxQueue extends Ring {
  readonly sums = new Int32Array(SUMS)
  /** Bytes of each buffer: SRRCTL.BSIZEPACKET. */
  bufferBytes = 2048
  stripVlan = false
  dropEnabled = false
  /** Where in the region the buffers of a burst are; -1: elsewhere. */
  private readonly places = new Int32Array(BURST)

  constructor(index: number, registers: RegisterFile, dma: DmaMap, strict: Strict) {
    super(RX_REGISTERS, index, registers, dma, strict)
  }

  override enable(): void {
    this.configure()
    const type = get(REG.SRRCTL.fields.DESCTYPE, this.registers.get(REG.SRRCTL, this.index))
    if (type !== ONE_BUFFER)
      this.strict.report(
        '8.2.3.8.7',
        'receive queue enabled with a descriptor type other than advanced one-buffer',
      )
    super.enable()
  }

  /** Takes over SRRCTL and RXDCTL. */
  configure(): void {
    const srrctl = this.registers.get(REG.SRRCTL, this.index)
    this.bufferBytes = get(REG.SRRCTL.fields.BSIZEPACKET, srrctl) * 1024
    if (this.bufferBytes === 0) {
      this.strict.report('8.2.3.8.7', 'SRRCTL.BSIZEPACKET is 0')
      this.bufferBytes = 2048
    }
    this.dropEnabled = (srrctl & REG.SRRCTL.fields.DROP_EN.mask) !== 0
    this.stripVlan = this.registers.test(REG.RXDCTL, REG.RXDCTL.fields.VME.mask, this.index)
  }

  /**
   * The fast path: frames of a burst from its frame `from` on, of which nothing but their bytes is reported, each into one
   * buffer of the region used last. Returns how many it has put; it stops before one that must go the long way (put)
   * or is no frame of MIN_FRAME to `limit` bytes.
   *
   * Three passes, of which only the second is bound to the frames' sizes: the descriptors are read, the frames are copied,
   * the descriptors are written. So the host, which polls the first one on another CPU, and this one don't take the same
   * cache line from each other for every frame.
   */
  putBurst(burst: Burst, from: number, limit: number): number {
    if (this.refresh() === 0) return 0
    const { head } = this
    const end = this.tail < head ? this.entries : this.tail
    const count = this.copyBurst(burst, from, Math.min(end - head, burst.count - from), limit)
    this.writeBackBurst(burst, from, count)
    this.head = head + count === this.entries ? 0 : head + count
    this.sums[Sum.PACKETS] += count
    return count
  }

  private copyBurst(burst: Burst, from: number, count: number, limit: number): number {
    const { words, places, buffer, bufferBase, bufferSize, bufferBytes, sums } = this
    const { memory, offsets, lengths } = burst
    const longest = Math.min(limit, bufferBytes)
    let word = this.first + (this.head << 2)
    const source = memory.u32
    const target = buffer.u32
    for (let i = 0; i < count; i++, word += 4) {
      const place = words[word] + words[word + 1] * 4294967296 - bufferBase
      places[i] = place >= 0 && place + longest <= bufferSize ? place : -1
    }
    for (let i = 0, frame = burst.first + from; i < count; i++, frame++) {
      const offset = offsets[frame]
      const length = lengths[frame]
      const place = places[i]
      if (place < 0 || ((place | offset) & 3) !== 0 || length < MIN_FRAME || length > longest) return i
      const s = offset >>> 2
      const t = place >>> 2
      const first = source[s]
      target[t] = first
      target[t + 1] = source[s + 1]
      target[t + 2] = source[s + 2]
      target[t + 3] = source[s + 3]
      target[t + 4] = source[s + 4]
      target[t + 5] = source[s + 5]
      target[t + 6] = source[s + 6]
      target[t + 7] = source[s + 7]
      target[t + 8] = source[s + 8]
      target[t + 9] = source[s + 9]
      target[t + 10] = source[s + 10]
      target[t + 11] = source[s + 11]
      target[t + 12] = source[s + 12]
      target[t + 13] = source[s + 13]
      target[t + 14] = source[s + 14]
      if (length > MIN_FRAME)
        copyBytes(memory, offset + MIN_FRAME, buffer, place + MIN_FRAME, length - MIN_FRAME)
      if ((first & 1) === 1) sums[castSum(memory.u8, offset)]++
      sums[Sum.BYTES] += length
      sums[Sum.SIZES + SIZE_CLASS[length]]++
    }
    return count
  }

  /** Backwards: where the host looks first is written last, and then it finds all of them. */
  private writeBackBurst({ lengths, first }: Burst, from: number, count: number): void {
    const { words } = this
    const status = RxStatus.DD | RxStatus.EOP
    let word = this.first + ((this.head + count) << 2)
    for (let frame = first + from + count - 1; frame >= first + from; frame--) {
      word -= 4
      words[word] = 0
      words[word + 1] = 0
      words[word + 3] = lengths[frame]
      store(words, word + 2, status)
    }
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
    if (at < 0 || at + length > this.bufferSize) {
      if (!this.seek(iova, length, true)) return
      at = iova - this.bufferBase
    }
    copyBytes(memory, offset, this.buffer, at | 0, length)
  }

  /** Overwrites the descriptor at the head, the status last, and moves on. */
  private writeBack(word0: number, hash: number, status: number, word3: number): void {
    const { words, head } = this
    const word = this.first + (head << 2)
    words[word] = word0
    words[word + 1] = hash
    words[word + 3] = word3
    store(words, word + 2, status)
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
