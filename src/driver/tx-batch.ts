import type { PacketMemory } from '../memory/packets.ts'
import type { TxQueue } from './device.ts'

/**
 * Packets for one port that come one by one and leave together: a doorbell for each would cost more than all else.
 *
 *     const out = new TxBatch(memory, port.tx, 2 * batchSize)
 *     out.add(id)                            // for each
 *     dropped += out.flush()                 // once per step
 */
export class TxBatch {
  private readonly memory: PacketMemory
  private readonly tx: TxQueue
  private readonly ids: Int32Array
  private count = 0
  private dropped = 0

  /** `most`: packets between two flushes at most. */
  constructor(memory: PacketMemory, tx: TxQueue, most: number) {
    this.memory = memory
    this.tx = tx
    this.ids = memory.batch(most + 1)
  }

  /** Takes packet `id` over. If there are too many, it is freed. */
  add(id: number): void {
    this.ids[this.count++] = id
    if (this.count === this.ids.length) this.free(this.count - 1)
  }

  /** Transmits all, and frees those for which there is no room in the ring. Returns how many were freed since the last time. */
  flush(): number {
    const { tx, ids } = this
    // Also without packets, as it frees what the card has sent.
    const room = tx.room()
    if (this.count > 0) this.free(tx.transmit(ids, 0, Math.min(this.count, room)))
    const { dropped } = this
    this.dropped = 0
    this.count = 0
    return dropped
  }

  /** Frees all from place `from` on. */
  private free(from: number): void {
    this.memory.free(this.ids, from, this.count - from)
    this.dropped += this.count - from
    this.count = from
  }
}
