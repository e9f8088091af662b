import { OffloadFlag } from '../../memory/offloads.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { refuseStranger, refuseTooLong } from '../../memory/refusals.ts'
import { whole } from '../../memory/whole.ts'
import type { TxQueue } from '../device.ts'
import * as COUNTER from './counters.ts'
import { type FrameIo, WRITE } from './frame-io.ts'
import { Joiner } from './join.ts'
import { joinHeaders, partHeaders } from './joined-headers.ts'
import { HEADER_BYTES, WRITES, WRITE_VECTORS } from './layout.ts'
import { CHECKSUM_IS_GOOD, GSO_NONE, NEEDS_CHECKSUM, writeNetHeader } from './net-header.ts'
import { type Address, type QueueParts, addressOf } from './parts.ts'

const { CHECKSUM_OPEN, CHECKSUM_GOOD } = OffloadFlag

/** Shorter ones are filled up with zeros, as by other drivers; the kernel takes none without an Ethernet header. */
const SHORTEST = 17
/** What a kernel says to a frame that it doesn't understand. */
const EINVAL = -22

/**
 * Writes a batch at a time; packets that the kernel can take as one go together (join.ts), as the ways of a frame through its
 * layers are what costs time. It has taken or refused each by the time it returns, so all buffers are free again.
 */
export class TapTransmit implements TxQueue {
  private readonly memory: PacketMemory
  private readonly parts: QueueParts
  private readonly vectors: Address
  private readonly joiner: Joiner
  /** Of each write: its first vector, how many, and what has become of it. */
  private readonly first = new Uint16Array(WRITES)
  private readonly pieces = new Uint16Array(WRITES)
  private readonly results = new Int32Array(WRITES)
  /** Packets whose joint write the kernel has refused. */
  private readonly again = new Int32Array(WRITES)
  private io: FrameIo
  private joins = true

  constructor(memory: PacketMemory, parts: QueueParts, io: FrameIo) {
    this.memory = memory
    this.parts = parts
    this.io = io
    this.vectors = addressOf(parts.address + BigInt(WRITE_VECTORS))
    this.joiner = new Joiner(memory, WRITES, parts.joins)
  }

  get packets(): number {
    return this.parts.counters[COUNTER.TX_PACKETS]
  }

  get bytes(): number {
    return this.parts.counters[COUNTER.TX_BYTES]
  }

  start(io: FrameIo): void {
    this.io = io
    this.joins = true
  }

  readonly room = (): number => this.parts.entries - 1

  readonly pending = (): number => 0

  readonly transmit = (batch: Int32Array, from: number, count: number): number => {
    let start = from | 0
    if (start !== from) start = whole(from)
    let most = count | 0
    if (most !== count) most = whole(count)
    most = Math.min(most, batch.length - start, this.parts.entries - 1)
    if (start < 0 || most <= 0) return 0
    this.verify(batch, start, start + most)
    const end = start + most
    for (let at = start; at < end; at += WRITES) this.write(batch, at, Math.min(WRITES, end - at))
    this.memory.free(batch, start, most)
    return most
  }

  /** Before any of them is written. */
  private verify(batch: Int32Array, start: number, end: number): void {
    const { memory, parts } = this
    const { size, longest } = memory
    let sum = 0
    for (let i = start; i < end; i++) {
      const id = batch[i]
      if (id >>> 0 >= size.length) refuseStranger('transmit', id, size.length)
      if (size[id] > longest) refuseTooLong(id, size[id], longest)
      if (size[id] < SHORTEST) memory.pad(id, SHORTEST)
      sum += size[id]
    }
    parts.counters[COUNTER.TX_PACKETS] += end - start
    parts.counters[COUNTER.TX_BYTES] += sum
  }

  private write(batch: Int32Array, start: number, count: number): void {
    const { joiner } = this
    if (this.joins && count > 1) joiner.plan(batch, start, count)
    else joiner.planSingly(count)
    this.aim(batch, start)
    this.io.run(WRITE, this.parts.fd, this.vectors, this.first, this.pieces, joiner.count, this.results)
    const refused = this.settle(batch, start)
    if (refused > 0) this.writeAgain(refused)
  }

  /** Writes headers and vectors for what is planned. */
  private aim(batch: Int32Array, start: number): void {
    const { memory, parts, joiner, first, pieces } = this
    const { headers, bytes, packetsAt } = parts
    const { size } = memory
    let vector = 0
    for (let w = 0; w < joiner.count; w++) {
      const head = joiner.heads[w]
      const id = batch[start + head]
      const data = memory.dataOffset(id)
      let next = joiner.next[head]
      first[w] = vector
      if (next < 0) this.writeHeader(id, packetsAt + data)
      else
        joinHeaders(
          bytes,
          packetsAt + data,
          joiner.headerBytes[head],
          joiner.payload[head],
          size[id],
          joiner.pushes[head],
        )
      this.setVector(vector++, headers.low + data, HEADER_BYTES + size[id])
      while (next >= 0) {
        const part = batch[start + next]
        const skip = joiner.headerBytes[head]
        const low = headers.low + memory.dataOffset(part) + HEADER_BYTES + skip
        this.setVector(vector++, low, size[part] - skip)
        next = joiner.next[next]
      }
      pieces[w] = vector - first[w]
    }
  }

  private setVector(vector: number, low: number, length: number): void {
    const { words, headers } = this.parts
    const at = (WRITE_VECTORS >> 2) + vector * 4
    words[at] = low
    words[at + 1] = headers.high + (low > 0xffff_ffff ? 1 : 0)
    words[at + 2] = length
    words[at + 3] = 0
  }

  /** In front of a packet of its own. */
  private writeHeader(id: number, at: number): void {
    const { bytes } = this.parts
    const { offloads } = this.memory
    const flags = offloads === null ? 0 : offloads.flags[id]
    if (offloads === null || (flags & (CHECKSUM_OPEN | CHECKSUM_GOOD)) === 0) {
      writeNetHeader(bytes, at, 0, GSO_NONE, 0, 0, 0, 0)
      return
    }
    const { checksumStart, checksumOffset } = offloads
    if ((flags & CHECKSUM_OPEN) === 0) writeNetHeader(bytes, at, CHECKSUM_IS_GOOD, GSO_NONE, 0, 0, 0, 0)
    else writeNetHeader(bytes, at, NEEDS_CHECKSUM, GSO_NONE, 0, 0, checksumStart[id], checksumOffset[id])
  }

  /** Counts what has become of each. Returns how many packets are to be written `again`. */
  private settle(batch: Int32Array, start: number): number {
    const { memory, parts, joiner, results, again } = this
    const { counters } = parts
    const { size } = memory
    let done = 0
    let bytes = 0
    let refused = 0
    let repeated = 0
    for (let w = 0; w < joiner.count; w++) {
      const head = joiner.heads[w]
      const isAgain = results[w] === EINVAL && joiner.next[head] >= 0
      if (isAgain) this.partHead(batch[start + head])
      for (let place: number = head; place >= 0; place = joiner.next[place]) {
        const id = batch[start + place]
        if (isAgain) again[repeated++] = id
        else if (results[w] < 0) refused++
        else {
          done++
          bytes += size[id]
        }
      }
    }
    counters[COUNTER.TX_DONE_PACKETS] += done
    counters[COUNTER.TX_DONE_BYTES] += bytes
    counters[COUNTER.TX_REFUSED] += refused
    return repeated
  }

  /** The headers of a head as those of a packet of its own again, complete. */
  private partHead(id: number): void {
    const { memory, parts } = this
    const { offloads, size } = memory
    const at = parts.packetsAt + memory.dataOffset(id)
    partHeaders(parts.bytes, at, size[id])
    if (offloads !== null) offloads.flags[id] &= ~CHECKSUM_OPEN
  }

  /** One by one what the kernel doesn't take joined: that is so for good. */
  private writeAgain(count: number): void {
    this.joins = false
    const ids = this.again.slice(0, count)
    this.write(ids, 0, count)
  }
}
