import type { PacketMemory } from '../../memory/packets.ts'
import { whole } from '../../memory/whole.ts'
import { OffloadFlag } from '../../memory/offloads.ts'
import { completeChecksum } from '../../packet/checksum.ts'
import { HEADER_BYTES as ETHERNET_BYTES } from '../../packet/ethernet.ts'
import { IpProtocol } from '../../packet/ipv4.ts'
import { Segmentation, TCP_CHECKSUM, UDP_CHECKSUM } from '../../packet/segmentation.ts'
import type { RxQueue } from '../device.ts'
import * as COUNTER from './counters.ts'
import { type FrameIo, READ } from './frame-io.ts'
import { HEADER_BYTES, READS, READ_VECTORS, REST, REST_BYTES, STAGES, STAGE_BYTES } from './layout.ts'
import { CHECKSUM_IS_GOOD, GSO_NONE, NEEDS_CHECKSUM, NetHeader } from './net-header.ts'
import { type Address, type QueueParts, addressOf } from './parts.ts'

/**
 * Reads of up to READS frames at a time, each into a packet buffer and, what doesn't fit there, into a stage (layout.ts):
 *
 *     slot      │ 0       │ 1       │ 2         │ 3       │ …
 *     ids       │ buffer  │ buffer  │ buffer    │ buffer  │ …      read into; one that is taken out is replaced at once
 *     results   │ 10 + 60 │ -EAGAIN │10 + 65000 │ -EAGAIN │
 *                            ▲ cursor: taken out so far
 *
 * A frame of TCP or UDP that the kernel has left whole (TSO, USO) is put together in its stage and cut from there as its packets are asked for, into
 * buffers from the pool. When that is empty they wait, and so do frames in the interface's queue. How many frames a call tries to
 * read follows how many it got, as one that finds nothing costs time, too.
 */
export class TapReceive implements RxQueue {
  readonly poolEmpty = 0
  private readonly memory: PacketMemory
  private readonly pool: number
  private readonly parts: QueueParts
  private readonly vectors: Address
  private readonly ids = new Uint16Array(READS)
  private readonly first = Uint16Array.from({ length: READS }, (_, slot) => 2 * slot)
  private readonly pieces = new Uint16Array(READS).fill(2)
  private readonly results = new Int32Array(READS)
  private readonly header = new NetHeader()
  /** What is being cut, how many packets have come of it, and how many are still to come. */
  private readonly plan = new Segmentation()
  private cut = 0
  private left = 0
  private io: FrameIo
  /** Packets come in whatever the main thread says. */
  private rehearsing = false
  private cursor = 0
  private end = 0
  private wanted = 1

  constructor(memory: PacketMemory, pool: number, parts: QueueParts, io: FrameIo) {
    this.memory = memory
    this.pool = pool
    this.parts = parts
    this.io = io
    this.vectors = addressOf(parts.address + BigInt(READ_VECTORS))
  }

  get packets(): number {
    return this.parts.counters[COUNTER.RX_PACKETS]
  }

  get bytes(): number {
    return this.parts.counters[COUNTER.RX_BYTES]
  }

  get fragments(): number {
    return this.parts.counters[COUNTER.FRAGMENTS]
  }

  get badLength(): number {
    return this.parts.counters[COUNTER.BAD_LENGTH]
  }

  readonly receive = (batch: Int32Array, limit: number): number => {
    let most = limit | 0
    if (most !== limit) most = whole(limit)
    if (most > batch.length) most = batch.length
    if (most <= 0) return 0
    let count = this.takeOut(batch, 0, most)
    if (count === most || this.cursor < this.end) return count
    if (this.rehearsing || this.parts.counters[COUNTER.RECEIVING] !== 0) {
      this.read(most - count)
      count = this.takeOut(batch, count, most)
    }
    return count
  }

  readonly untaken = (): number => {
    const { results, parts, memory, ids } = this
    const header = new NetHeader()
    const plan = new Segmentation()
    let packets = this.left
    let bytes = this.left > 0 ? this.plan.bytesFrom(this.cut) : 0
    for (let slot = this.cursor + (this.left > 0 ? 1 : 0); slot < this.end; slot++) {
      if (results[slot] < 0) continue
      const at = parts.packetsAt + memory.dataOffset(ids[slot])
      const length = results[slot] - HEADER_BYTES
      header.read(parts.bytes, at)
      const whole = header.gso === GSO_NONE || !this.planFor(at, length, header, plan)
      packets += whole ? 1 : plan.count
      bytes += whole ? length : plan.bytesFrom(0)
    }
    parts.counters[COUNTER.RX_UNTAKEN] = packets
    parts.counters[COUNTER.RX_UNTAKEN_BYTES] = bytes
    return packets
  }

  /** Takes a buffer for each slot. `rehearsing`: `io` plays the kernel. */
  start(io: FrameIo, rehearsing: boolean): void {
    const { memory, pool, ids, parts } = this
    this.io = io
    this.rehearsing = rehearsing
    this.cursor = 0
    this.end = 0
    this.wanted = 1
    this.left = 0
    const bottom = pool << memory.poolShift
    for (let slot = 0; slot < READS; slot++) {
      ids[slot] = memory.freeStack[bottom + --memory.freeTop[pool]]
      this.aim(slot)
      const rest = addressOf(parts.address + BigInt(STAGES + slot * STAGE_BYTES + REST))
      parts.words.set([rest.low, rest.high, REST_BYTES, 0], (READ_VECTORS >> 2) + slot * 8 + 4)
    }
  }

  /** Lets the next read of `slot` go into its buffer. */
  private aim(slot: number): void {
    const { memory, parts } = this
    const { words, headers } = parts
    const at = (READ_VECTORS >> 2) + slot * 8
    const low = headers.low + memory.dataOffset(this.ids[slot])
    words[at] = low
    words[at + 1] = headers.high + (low > 0xffff_ffff ? 1 : 0)
    words[at + 2] = HEADER_BYTES + memory.longest
    words[at + 3] = 0
  }

  private read(most: number): void {
    const { parts, results } = this
    const count = Math.min(most, this.wanted, READS)
    this.io.run(READ, parts.fd, this.vectors, this.first, this.pieces, count, results)
    let frames = 0
    let end = 0
    // Errors: nothing there (EAGAIN), though the next may find a frame that has come meanwhile; or the interface is gone, which the
    // main thread sees.
    for (let slot = 0; slot < count; slot++) {
      if (results[slot] < 0) continue
      frames++
      end = slot + 1
    }
    this.wanted = frames === count ? Math.min(READS, Math.max(this.wanted, 2 * count)) : frames + 1
    this.cursor = 0
    this.end = end
  }

  private takeOut(batch: Int32Array, count: number, most: number): number {
    const { memory, pool, parts, results, header } = this
    const { counters, bytes } = parts
    const { freeTop, size, longest } = memory
    while (count < most && this.cursor < this.end && freeTop[pool] > 0) {
      const slot = this.cursor
      if (this.left > 0) {
        count = this.takePieces(batch, count, most)
        continue
      }
      if (results[slot] < 0) {
        this.cursor++
        continue
      }
      const id = this.ids[slot]
      const length = results[slot] - HEADER_BYTES
      const at = parts.packetsAt + memory.dataOffset(id)
      header.read(bytes, at)
      let wrong = -1
      if (header.gso !== GSO_NONE) {
        wrong = this.beginCut(slot, at, length)
        if (wrong === -1) continue
      } else if (length > longest) wrong = COUNTER.FRAGMENTS
      else if (length < ETHERNET_BYTES || !header.fits(length)) wrong = COUNTER.BAD_LENGTH
      this.cursor++
      if (wrong !== -1) {
        counters[wrong]++
        counters[COUNTER.RX_DROPPED_BYTES] += length
        continue
      }
      size[id] = length
      this.settleChecksum(id, at, length)
      counters[COUNTER.RX_PACKETS]++
      counters[COUNTER.RX_BYTES] += length
      batch[count++] = id
      this.ids[slot] = this.takeBuffer()
      this.aim(slot)
    }
    return count
  }

  /** The pool has one. */
  private takeBuffer(): number {
    const { memory, pool } = this
    return memory.freeStack[(pool << memory.poolShift) + --memory.freeTop[pool]]
  }

  /** What the kernel has left of the checksum of packet `id`, and what it says of it. */
  private settleChecksum(id: number, at: number, length: number): void {
    const { header, memory, parts } = this
    const { flags, checksumStart, checksumOffset } = header
    const { offloads } = memory
    if (offloads === null) {
      if ((flags & NEEDS_CHECKSUM) !== 0)
        completeChecksum(parts.bytes, at + checksumStart, length - checksumStart, checksumOffset)
      return
    }
    offloads.segment[id] = 0
    if ((flags & NEEDS_CHECKSUM) === 0) {
      offloads.flags[id] = (flags & CHECKSUM_IS_GOOD) === 0 ? 0 : OffloadFlag.CHECKSUM_GOOD
      return
    }
    offloads.flags[id] = OffloadFlag.CHECKSUM_OPEN
    offloads.checksumStart[id] = checksumStart
    offloads.checksumOffset[id] = checksumOffset
  }

  /** Puts the frame in `slot` together for takePieces(). Returns the number of the counter that it belongs to, or -1. */
  private beginCut(slot: number, at: number, length: number): number {
    const { memory, parts, header, plan } = this
    const { longest } = memory
    const stage = parts.stagesAt + slot * STAGE_BYTES + REST - longest
    const { checksumOffset } = header
    if (length >= longest + REST_BYTES || !header.fits(length)) return COUNTER.BAD_LENGTH
    if (checksumOffset !== TCP_CHECKSUM && checksumOffset !== UDP_CHECKSUM) return COUNTER.BAD_LENGTH
    parts.bytes.copyWithin(stage, at, at + Math.min(length, longest))
    if (!this.planFor(stage, length, header, plan)) return COUNTER.BAD_LENGTH
    if (plan.payloadOffset(0) - stage + plan.payloadLength(0) > longest) return COUNTER.FRAGMENTS
    this.cut = 0
    this.left = plan.count
    return -1
  }

  private planFor(at: number, length: number, header: NetHeader, plan: Segmentation): boolean {
    const { bytes } = this.parts
    const { checksumStart, segment } = header
    const isUdp = header.checksumOffset === UDP_CHECKSUM
    const headerBytes = checksumStart + (isUdp ? 8 : (bytes[at + checksumStart + 12] >> 4) << 2)
    const protocol = isUdp ? IpProtocol.UDP : IpProtocol.TCP
    return plan.aim(bytes, at, length, checksumStart, headerBytes, segment, protocol)
  }

  /** Takes as many packets out of what is being cut as there is room and buffers for; the last ends the slot. */
  private takePieces(batch: Int32Array, count: number, most: number): number {
    const { memory, pool, parts, plan } = this
    const { bytes, counters } = parts
    const { freeTop, size } = memory
    let { cut, left } = this
    let sum = 0
    const before = count
    while (left > 0 && count < most && freeTop[pool] > 0) {
      const id = this.takeBuffer()
      const at = parts.packetsAt + memory.dataOffset(id)
      const length = plan.write(cut, bytes, at)
      size[id] = length
      this.settleChecksum(id, at, length)
      sum += length
      cut++
      left--
      batch[count++] = id
    }
    counters[COUNTER.RX_PACKETS] += count - before
    counters[COUNTER.RX_BYTES] += sum
    this.cut = cut
    this.left = left
    if (left === 0) this.cursor++
    return count
  }
}
