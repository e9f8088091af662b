import type { PacketMemory } from '../../memory/packets.ts'
import { refuseStranger, refuseTooLong } from '../../memory/refusals.ts'
import { whole } from '../../memory/whole.ts'
import type { TxQueue } from '../device.ts'
import * as COUNTER from './counters.ts'
import { type FrameIo, WRITE } from './frame-io.ts'
import { HEADER_BYTES, WRITES, WRITE_VECTORS } from './layout.ts'
import { writeNetHeader } from './net-header.ts'
import { type Address, type QueueParts, addressOf } from './parts.ts'

/** Shorter ones are filled up with zeros, as by other drivers; the kernel takes none without an Ethernet header. */
const SHORTEST = 17

/** Writes a batch at a time. The kernel has taken or refused each packet by the time it returns, so all buffers are free again. */
export class TapTransmit implements TxQueue {
  private readonly memory: PacketMemory
  private readonly parts: QueueParts
  private readonly vectors: Address
  private readonly first = new Uint16Array(WRITES)
  private readonly pieces = new Uint16Array(WRITES)
  private readonly results = new Int32Array(WRITES)
  private io: FrameIo

  constructor(memory: PacketMemory, parts: QueueParts, io: FrameIo) {
    this.memory = memory
    this.parts = parts
    this.io = io
    this.vectors = addressOf(parts.address + BigInt(WRITE_VECTORS))
  }

  get packets(): number {
    return this.parts.counters[COUNTER.TX_PACKETS]
  }

  get bytes(): number {
    return this.parts.counters[COUNTER.TX_BYTES]
  }

  start(io: FrameIo): void {
    this.io = io
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
    const { size, longest } = this.memory
    for (let i = start; i < end; i++) {
      const id = batch[i]
      if (id >>> 0 >= size.length) refuseStranger('transmit', id, size.length)
      if (size[id] > longest) refuseTooLong(id, size[id], longest)
      if (size[id] < SHORTEST) this.memory.pad(id, SHORTEST)
    }
  }

  private write(batch: Int32Array, start: number, count: number): void {
    const { memory, parts, first, pieces, results } = this
    const { words, headers, bytes, packetsAt, counters } = parts
    const { size } = memory
    for (let i = 0; i < count; i++) {
      const id = batch[start + i]
      const data = memory.dataOffset(id)
      writeNetHeader(bytes, packetsAt + data, 0, 0, 0, 0, 0, 0)
      const at = (WRITE_VECTORS >> 2) + i * 4
      const low = headers.low + data
      words[at] = low
      words[at + 1] = headers.high + (low > 0xffff_ffff ? 1 : 0)
      words[at + 2] = HEADER_BYTES + size[id]
      words[at + 3] = 0
      first[i] = i
      pieces[i] = 1
    }
    this.io.run(WRITE, parts.fd, this.vectors, first, pieces, count, results)
    let sum = 0
    let done = 0
    let doneBytes = 0
    for (let i = 0; i < count; i++) {
      const length = size[batch[start + i]]
      sum += length
      if (results[i] < 0) continue
      done++
      doneBytes += length
    }
    counters[COUNTER.TX_PACKETS] += count
    counters[COUNTER.TX_BYTES] += sum
    counters[COUNTER.TX_DONE_PACKETS] += done
    counters[COUNTER.TX_DONE_BYTES] += doneBytes
    counters[COUNTER.TX_REFUSED] += count - done
  }
}
