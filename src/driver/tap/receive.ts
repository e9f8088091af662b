import type { PacketMemory } from '../../memory/packets.ts'
import { whole } from '../../memory/whole.ts'
import { HEADER_BYTES as ETHERNET_BYTES } from '../../packet/ethernet.ts'
import type { RxQueue } from '../device.ts'
import * as COUNTER from './counters.ts'
import { Cutter, completeChecksum } from './cut.ts'
import { type FrameIo, READ } from './frame-io.ts'
import { HEADER_BYTES, READS, READ_VECTORS, REST, REST_BYTES, STAGES, STAGE_BYTES } from './layout.ts'
import { GSO_NONE, NEEDS_CHECKSUM, NetHeader } from './net-header.ts'
import { type Address, type QueueParts, addressOf } from './parts.ts'

/**
 * Reads of up to READS frames at a time, each into a packet buffer and, what doesn't fit there, into a stage (layout.ts):
 *
 *     slot      │ 0       │ 1       │ 2         │ 3       │ …
 *     ids       │ buffer  │ buffer  │ buffer    │ buffer  │ …      read into; one that is taken out is replaced at once
 *     results   │ 10 + 60 │ -EAGAIN │10 + 65000 │ -EAGAIN │
 *                            ▲ cursor: taken out so far
 *
 * A frame that the kernel has left whole is cut as its packets are asked for: the first stays where it is, the others get buffers from
 * the pool. When that is empty they wait, and so do frames in the interface's queue. How many frames a call tries to read follows
 * how many it got, as one that finds nothing costs time, too.
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
  private readonly cutter = new Cutter()
  private io: FrameIo
  /** Packets come in whatever the main thread says. */
  private rehearsing = false
  private cursor = 0
  private end = 0
  private wanted = 1
  /** Of the frame that is being cut: what is left, where it is, how many packets it has given. */
  private left = 0
  private leftAt = 0
  private index = 0

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
    let packets = this.left > 0 ? Math.ceil(this.left / this.cutter.segment) : 0
    const rest = new Cutter()
    for (let slot = this.cursor + (this.left > 0 ? 1 : 0); slot < this.end; slot++) {
      if (results[slot] < 0) continue
      const at = parts.packetsAt + memory.dataOffset(ids[slot])
      const length = results[slot] - HEADER_BYTES
      header.read(parts.bytes, at)
      const isCut = header.gso !== GSO_NONE && rest.aim(parts.bytes, at, length, header)
      packets += isCut ? Math.ceil((length - rest.headerBytes) / rest.segment) : 1
    }
    parts.counters[COUNTER.RX_UNTAKEN] = packets
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
        count = this.cutMore(batch, count, most)
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
      if (header.gso !== GSO_NONE) wrong = this.beginCut(slot, at, length)
      else if (length > longest) wrong = COUNTER.FRAGMENTS
      else if (length < ETHERNET_BYTES) wrong = COUNTER.BAD_LENGTH
      else if (!this.checksum(at, length, header.checksumStart, header.checksumOffset))
        wrong = COUNTER.BAD_LENGTH
      else {
        size[id] = length
        counters[COUNTER.RX_BYTES] += length
      }
      if (this.left === 0) this.cursor = slot + 1
      if (wrong !== -1) {
        counters[wrong]++
        continue
      }
      counters[COUNTER.RX_PACKETS]++
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

  /** What the kernel has left of the checksum. False if it isn't in the packet. */
  private checksum(at: number, length: number, start: number, offset: number): boolean {
    if ((this.header.flags & NEEDS_CHECKSUM) === 0) return true
    return completeChecksum(this.parts.bytes, at, length, start, offset)
  }

  /** Cuts the first packet off the frame in `slot`. Returns the number of the counter that the frame belongs to, or -1. */
  private beginCut(slot: number, at: number, length: number): number {
    const { memory, parts, cutter, header } = this
    const { bytes, counters } = parts
    const { longest, size } = memory
    if (length >= longest + REST_BYTES || !cutter.aim(bytes, at, length, header)) return COUNTER.BAD_LENGTH
    const { headerBytes, segment } = cutter
    if (headerBytes + segment > longest) return COUNTER.FRAGMENTS
    const end = headerBytes + Math.min(segment, length - headerBytes)
    const stage = parts.stagesAt + slot * STAGE_BYTES
    bytes.copyWithin(stage, at, at + headerBytes)
    // What follows the first packet in its buffer goes in front of the rest.
    const behind = Math.min(length, longest) - end
    bytes.copyWithin(stage + REST - behind, at + end, at + end + behind)
    this.left = length - end
    this.leftAt = stage + REST - behind
    this.index = 1
    cutter.write(bytes, at, 0, end - headerBytes, this.left === 0)
    this.checksum(at, end, cutter.checksumStart, cutter.checksumOffset)
    size[this.ids[slot]] = end
    counters[COUNTER.RX_BYTES] += end
    return -1
  }

  /** Cuts as many more off as there is room and buffers for; the last ends the slot. */
  private cutMore(batch: Int32Array, count: number, most: number): number {
    const { memory, pool, parts, cutter } = this
    const { bytes, counters } = parts
    const { freeTop, size } = memory
    const { headerBytes, segment } = cutter
    const stage = parts.stagesAt + this.cursor * STAGE_BYTES
    let { left, leftAt, index } = this
    let cut = 0
    let sum = 0
    while (left > 0 && count < most && freeTop[pool] > 0) {
      const id = this.takeBuffer()
      const at = parts.packetsAt + memory.dataOffset(id)
      const data = left < segment ? left : segment
      bytes.copyWithin(at, stage, stage + headerBytes)
      bytes.copyWithin(at + headerBytes, leftAt, leftAt + data)
      left -= data
      leftAt += data
      cutter.write(bytes, at, index++, data, left === 0)
      this.checksum(at, headerBytes + data, cutter.checksumStart, cutter.checksumOffset)
      size[id] = headerBytes + data
      sum += headerBytes + data
      cut++
      batch[count++] = id
    }
    counters[COUNTER.RX_PACKETS] += cut
    counters[COUNTER.RX_BYTES] += sum
    this.left = left
    this.leftAt = leftAt
    this.index = index
    if (left === 0) this.cursor++
    return count
  }
}
