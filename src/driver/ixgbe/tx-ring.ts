import { TX_DD, TX_DEXT, TX_DTYP_DATA, TX_EOP, TX_IFCS, TX_PAYLEN_SHIFT, TX_RS } from './descriptors.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { TxQueue } from '../device.ts'

const COMMAND = TX_DEXT | TX_IFCS | TX_EOP | TX_DTYP_DATA

/**
 * The software side of a transmit descriptor ring (82599 §7.2.3.3).
 *
 *          clean: oldest not yet freed        index = tail register: next to fill
 *            ▼                                     ▼
 *     ┌───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┐
 *     │   │ s │ s │ S │ s │ s │ s │ S │ w │ w │ W │   │   │     s sent   w waiting   capital letter: RS is set
 *     └───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┘
 *
 * Only the last descriptor of each transmit() call asks for a status (RS): its write-back says that all before it are
 * done as well, as the card works in order. `batchEnd[first]` remembers where the batch that starts at `first` ends.
 * Head is never read: the last descriptor written back decides (82599 §7.2.3.5.2).
 */
export class TxRing implements TxQueue {
  /** Packets and bytes (without FCS) handed to the card, over the life of the ring. */
  packets = 0
  bytes = 0

  private readonly memory: PacketMemory
  private readonly words: Uint32Array
  private readonly quads: Float64Array
  private readonly ids: Uint16Array
  private readonly batchEnd: Uint16Array
  private readonly mask: number
  private readonly tail: Int32Array
  private readonly tailIndex: number
  private index = 0
  private oldest = 0

  /** `ring` is the descriptors' memory, its entries a power of two; `tail[tailIndex]` is TDT. The queue is empty. */
  constructor(memory: PacketMemory, ring: ArrayBufferLike, tail: Int32Array, tailIndex: number) {
    this.memory = memory
    this.words = new Uint32Array(ring)
    this.quads = new Float64Array(ring)
    const entries = this.words.length >> 2
    this.ids = new Uint16Array(entries)
    this.batchEnd = new Uint16Array(entries)
    this.mask = entries - 1
    this.tail = tail
    this.tailIndex = tailIndex
  }

  /**
   * Hands `batch[from … from + count - 1]` to the card, in order, as far as the ring has room; returns how many it
   * took. Those now belong to the ring, which frees them once they are sent; the rest stays the caller's.
   */
  transmit(batch: Int32Array, from: number, count: number): number {
    const { mask } = this
    let index = this.index
    let accepted = (this.oldest - index - 1) & mask
    if (accepted < count) accepted = this.room()
    if (accepted > count) accepted = count
    if (accepted === 0) return 0

    const { memory, words, quads, ids } = this
    const { size, iova } = memory
    const first = index
    let bytes = 0
    let last = index
    for (let i = from; i < from + accepted; i++) {
      const id = batch[i]
      const length = size[id]
      ids[index] = id
      quads[index << 1] = iova[id]
      words[(index << 2) + 2] = COMMAND | length
      words[(index << 2) + 3] = length << TX_PAYLEN_SHIFT // clears DD
      bytes += length
      last = index
      index = (index + 1) & mask
    }
    words[(last << 2) + 2] = COMMAND | TX_RS | size[ids[last]]
    this.batchEnd[first] = last
    this.index = index
    this.packets += accepted
    this.bytes += bytes
    Atomics.store(this.tail, this.tailIndex, index)
    return accepted
  }

  /** Frees what the card has sent and returns how many packets transmit() would take now. */
  room(): number {
    this.clean()
    return (this.oldest - this.index - 1) & this.mask
  }

  /** Packets handed to the card and not known to be sent. */
  pending(): number {
    this.clean()
    return (this.index - this.oldest) & this.mask
  }

  /** Frees the packets of every batch the card has finished. */
  private clean(): void {
    const { words, batchEnd, index, mask } = this
    let oldest = this.oldest
    if (oldest === index || (words[(batchEnd[oldest] << 2) + 3] & TX_DD) === 0) return

    const { ids, memory } = this
    const { freeStack, freeTop, poolShift } = memory
    let pool = ids[oldest] >> poolShift
    let base = pool << poolShift
    let top = freeTop[pool]
    do {
      const end = (batchEnd[oldest] + 1) & mask
      do {
        const id = ids[oldest]
        if (id >> poolShift !== pool) {
          freeTop[pool] = top
          pool = id >> poolShift
          base = pool << poolShift
          top = freeTop[pool]
        }
        freeStack[base + top++] = id
        oldest = (oldest + 1) & mask
      } while (oldest !== end)
    } while (oldest !== index && (words[(batchEnd[oldest] << 2) + 3] & TX_DD) !== 0)
    freeTop[pool] = top
    this.oldest = oldest
  }
}
