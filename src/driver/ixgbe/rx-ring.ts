import { RX_DD, RX_EOP } from './descriptors.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { RxQueue } from '../device.ts'

/**
 * The software side of a receive descriptor ring (82599 §7.1.9).
 *
 *        index: next to look at          tail register: last one we have given to the card
 *              ▼                                       ▼
 *     ┌───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┐
 *     │   │   │ D │ D │ D │ · │ · │ · │ · │ · │ · │ · │   │      D  done: the card has put a packet there
 *     └───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┘      ·  armed: the card may write there
 *                           ▲ head: the card's own business
 *
 * Every packet taken out is replaced at once by a fresh buffer, so all but one descriptor belong to the card always.
 * One stays ours: head = tail means that the card has none (82599 §7.1.9).
 */
export class RxRing implements RxQueue {
  /** Packets and bytes (without FCS) taken out, over the life of the ring. */
  packets = 0
  bytes = 0
  /** Packets dropped because the pool had no buffer to replace theirs. */
  poolEmpty = 0
  /** Buffers dropped because they held only a part of a packet: larger than the ring was set up for. */
  fragments = 0

  private readonly memory: PacketMemory
  private readonly pool: number
  /** The descriptors as 32-bit words (4 each) and as 64-bit values (2 each). */
  private readonly words: Uint32Array
  private readonly quads: Float64Array
  /** Buffer id behind each descriptor. */
  private readonly ids: Uint16Array
  private readonly mask: number
  private readonly tail: Int32Array
  private readonly tailIndex: number
  private index = 0

  /**
   * Arms all descriptors but one with buffers of `pool` and tells the card. `ring` is the descriptors' memory, its
   * entries a power of two; `tail[tailIndex]` is RDT. The queue must be enabled and its RDH and RDT zero.
   */
  constructor(
    memory: PacketMemory,
    pool: number,
    ring: ArrayBufferLike,
    tail: Int32Array,
    tailIndex: number,
  ) {
    this.memory = memory
    this.pool = pool
    this.words = new Uint32Array(ring)
    this.quads = new Float64Array(ring)
    const entries = this.words.length >> 2
    this.ids = new Uint16Array(entries)
    this.mask = entries - 1
    this.tail = tail
    this.tailIndex = tailIndex

    const ids = new Int32Array(entries)
    memory.allocate(pool, ids, entries)
    for (let i = 0; i < entries; i++) {
      this.ids[i] = ids[i]
      this.quads[i * 2] = memory.iova[ids[i]]
      this.quads[i * 2 + 1] = 0
    }
    Atomics.store(tail, tailIndex, this.mask)
  }

  /**
   * Takes up to `limit` received packets and puts their ids into `batch[0…]`; returns how many. The caller owns them.
   *
   * The acquiring load of the first status keeps what follows behind it on any machine. The other descriptors are
   * read plainly: x86 keeps loads in order, and V8 does not move a typed array's load across a store to another.
   */
  receive(batch: Int32Array, limit: number): number {
    const words = this.words
    let index = this.index
    let status = Atomics.load(words, (index << 2) + 2)
    if ((status & RX_DD) === 0 || limit <= 0) return 0

    const { memory, quads, ids, mask, pool } = this
    const { size, iova, freeStack, freeTop } = memory
    const freeBase = pool << memory.poolShift
    let top = freeTop[pool]
    let count = 0
    let bytes = 0
    do {
      const id = ids[index]
      if ((status & RX_EOP) !== 0 && top > 0) {
        const length = words[(index << 2) + 3] & 0xffff
        const fresh = freeStack[freeBase + --top]
        ids[index] = fresh
        size[id] = length
        batch[count++] = id
        bytes += length
        quads[index << 1] = iova[fresh]
      } else {
        this.drop(status)
        quads[index << 1] = iova[id]
      }
      quads[(index << 1) + 1] = 0 // clears DD
      index = (index + 1) & mask
      status = words[(index << 2) + 2]
    } while (count < limit && (status & RX_DD) !== 0)

    freeTop[pool] = top
    this.index = index
    this.packets += count
    this.bytes += bytes
    Atomics.store(this.tail, this.tailIndex, (index - 1) & mask)
    return count
  }

  /** Counts a descriptor whose packet is thrown away; its buffer goes back to the card. */
  private drop(status: number): void {
    if ((status & RX_EOP) === 0) this.fragments++
    else this.poolEmpty++
  }
}
