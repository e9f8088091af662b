/** A kernel of a few lines, for rehearsals. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { StandIn } from '../queues.ts'
import { type FrameIo, READ } from './frame-io.ts'
import { HEADER_BYTES, READ_VECTORS } from './layout.ts'
import type { QueueParts } from './parts.ts'

const FRAME = 60
const EAGAIN = 11

export class TapStandIn implements StandIn, FrameIo {
  private readonly memory: PacketMemory
  private readonly parts: QueueParts
  private waiting = 0

  constructor(memory: PacketMemory, parts: QueueParts) {
    this.memory = memory
    this.parts = parts
  }

  transmit(): void {
    // Whatever is written is taken at once.
  }

  receive(packets: number): void {
    this.waiting += packets
  }

  run(
    operation: number,
    _fd: number,
    _vectors: unknown,
    _first: Uint16Array,
    _parts: Uint16Array,
    count: number,
    results: Int32Array,
  ): void {
    for (let i = 0; i < count; i++) {
      if (operation === READ && this.waiting-- <= 0) {
        this.waiting = 0
        results[i] = -EAGAIN
        continue
      }
      results[i] = HEADER_BYTES + FRAME
      if (operation === READ) this.clearHeader(i)
    }
  }

  private clearHeader(slot: number): void {
    const { words, headers, bytes, packetsAt } = this.parts
    const low = words[(READ_VECTORS >> 2) + slot * 8]
    // The distance of two addresses, whichever of them has carried.
    const from = packetsAt - HEADER_BYTES + ((low - headers.low) >>> 0)
    if (from >= 0 && from + HEADER_BYTES + this.memory.longest <= bytes.length)
      bytes.fill(0, from, from + HEADER_BYTES)
  }
}
