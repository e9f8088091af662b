import { BAD_LENGTH, BYTES, FRAGMENTS, PACKETS, POOL_EMPTY } from './counters.ts'
import { RX_DD, RX_EOP } from './descriptors.ts'
import { PLAIN_DOORBELL, PLAIN_STATUS } from '../doorbell.ts'
import { whole } from '../../memory/whole.ts'
import { specialise } from '../../specialise.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { RxQueue } from '../device.ts'
import { type RxParts, enlistRx } from './mover.ts'

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
  /** At most `limit` descriptors are looked at: fewer packets may come out than there are if some had to be dropped. */
  readonly receive: (batch: Int32Array, limit: number) => number
  readonly untaken: () => number
  private readonly restart: (tail: Int32Array, tailIndex: number) => void
  private readonly counters = new Float64Array(new ArrayBuffer(5 * 8))

  /**
   * `ring` is the descriptors' memory, its entries a power of two. Packets get the buffers of `pool`. `make` has other loops,
   * which count into the array.
   */
  constructor(
    memory: PacketMemory,
    pool: number,
    ring: ArrayBufferLike,
    make = (counters: Float64Array): ReceiveLoops =>
      specialise(makeReceive)(memory, pool, ring, counters, {
        RX_DD,
        RX_EOP,
        PACKETS,
        BYTES,
        POOL_EMPTY,
        FRAGMENTS,
        BAD_LENGTH,
        PLAIN_DOORBELL,
        PLAIN_STATUS,
        whole,
      }),
  ) {
    const loops = make(this.counters)
    this.receive = loops.receive
    const words = new Uint32Array(ring)
    this.untaken = () => countPackets(words, loops.next())
    this.restart = loops.start
    if (loops.parts !== undefined) enlistRx(this, loops.parts)
  }

  /**
   * Begins anew: forgets all packets and counts, arms all descriptors but one with fresh buffers and tells the card.
   * `tail[tailIndex]` is RDT. The queue must be enabled and its RDH and RDT zero.
   */
  start(tail: Int32Array, tailIndex: number): void {
    this.restart(tail, tailIndex)
  }

  /** Packets and bytes (without FCS) taken out since start(). */
  get packets(): number {
    return this.counters[PACKETS]
  }

  get bytes(): number {
    return this.counters[BYTES]
  }

  /** Packets dropped because the pool had no buffer to replace theirs. */
  get poolEmpty(): number {
    return this.counters[POOL_EMPTY]
  }

  /** Buffers dropped because they held only a part of a packet: larger than the ring was set up for. */
  get fragments(): number {
    return this.counters[FRAGMENTS]
  }

  /** Packets dropped because the card claims that they are empty or longer than the buffer they are in. */
  get badLength(): number {
    return this.counters[BAD_LENGTH]
  }
}

/** Packets that the card has put into a ring of descriptors `words`, from descriptor `index` on. */
export function countPackets(words: Uint32Array, index: number): number {
  const entries = words.length >> 2
  let packets = 0
  for (let i = 0; i < entries; i++) {
    const status = words[(((index + i) % entries) << 2) + 2]
    if ((status & RX_DD) === 0) break
    if ((status & RX_EOP) !== 0) packets++
  }
  return packets
}

export interface ReceiveLoops {
  receive(batch: Int32Array, limit: number): number
  /** The next descriptor to look at. */
  next(): number
  start(tail: Int32Array, tailIndex: number): void
  /** What mover.ts works on; left out: it can't. */
  readonly parts?: RxParts
}

/* istanbul ignore next: counters would be foreign names in it */
/**
 * Specialised for each ring. Typed arrays only: they don't allocate, and a double in one is changed in place. Small ones get
 * an ArrayBuffer of their own: without, V8 keeps up to 64 bytes on its heap, where they move, so that no address is constant.
 */
function makeReceive(
  memory: PacketMemory,
  pool: number,
  ring: ArrayBufferLike,
  counters: Float64Array,
  names: Readonly<
    Record<'RX_DD' | 'RX_EOP' | 'PACKETS' | 'BYTES' | 'POOL_EMPTY' | 'FRAGMENTS' | 'BAD_LENGTH', number>
  > & {
    PLAIN_DOORBELL: boolean
    PLAIN_STATUS: boolean
    whole(n: number): number
  },
): ReceiveLoops {
  const { RX_DD, RX_EOP, PACKETS, BYTES, POOL_EMPTY, FRAGMENTS, BAD_LENGTH } = names
  const { PLAIN_DOORBELL, PLAIN_STATUS, whole } = names
  const { size, iova, freeStack, freeTop, longest } = memory
  const bottom = pool << memory.poolShift
  /** The descriptors as 32-bit words (4 each) and as 64-bit values (2 each). */
  const words = new Uint32Array(ring)
  const quads = new Float64Array(ring)
  const entries = words.length >> 2
  const mask = entries - 1
  /** Buffer id behind each descriptor. */
  const ids = new Uint16Array(entries)
  /** [0]: next descriptor to look at. */
  const index = new Int32Array(new ArrayBuffer(4))
  let tail: Int32Array = new Int32Array(1)
  let tailIndex = 0

  /** Apart from take(), as V8 inlines functions up to a certain size only. */
  function receive(batch: Int32Array, limit: number): number {
    let most = limit | 0
    if (most !== limit) most = whole(limit)
    const held = batch.length | 0
    if (most > held) most = held
    // One descriptor is never the card's: more than the others it can't have finished.
    if (most > mask) most = mask
    return take(batch, most)
  }

  /**
   * First counts the descriptors that are done, by plain loads. Then, on machines that reorder loads, an acquiring load of
   * the last of them (doorbell.ts): the card writes back in order, so whatever is read after it (lengths, packet data) is what
   * the card wrote. One such load per batch, none in a poll that finds nothing.
   */
  function take(batch: Int32Array, most: number): number {
    const first = index[0] & mask
    let at = first
    let count = 0
    let all = RX_EOP
    while (count < most) {
      const status = words[(at << 2) + 2] | 0
      if ((status & RX_DD) === 0) break
      all &= status
      at = (at + 1) & mask
      count = (count + 1) | 0
    }
    if (count === 0) return 0
    if (!PLAIN_STATUS) Atomics.load(words, (((at - 1) & mask) << 2) + 2)

    let top = freeTop[pool]
    if (all === 0 || top < count) return receiveOneByOne(batch, count)
    freeTop[pool] = top - count
    top = (top + bottom) | 0
    let bytes = 0
    let odd = 0
    at = first
    for (let i = 0; i < count; i++) {
      const id = ids[at]
      const length = words[(at << 2) + 3] & 0xffff
      top = (top - 1) | 0
      const fresh = freeStack[top]
      ids[at] = fresh
      size[id] = length
      batch[i] = id
      bytes = (bytes + length) | 0
      odd |= length - 1
      quads[at << 1] = iova[fresh]
      quads[(at << 1) + 1] = 0 // clears DD
      at = (at + 1) & mask
    }
    // No bit in any of them, so all of them fit; otherwise one of them may not.
    if (odd >>> 0 >= longest) count = sift(batch, count)
    finish(at, count, bytes)
    return count
  }

  /** Drops those of the batch that the card says to be empty or longer than their buffer; returns how many are left. */
  function sift(batch: Int32Array, count: number): number {
    let left = 0
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      if ((size[id] - 1) >>> 0 < longest) batch[left++] = id
      else {
        counters[BAD_LENGTH]++
        counters[BYTES] -= size[id]
        freeStack[bottom + freeTop[pool]++] = id
      }
    }
    return left
  }

  /** The same for `ready` descriptors, some of which have to be dropped: their buffers go back to the card. */
  function receiveOneByOne(batch: Int32Array, ready: number): number {
    let at = index[0] & mask
    let count = 0
    let bytes = 0
    for (let i = 0; i < ready; i++) {
      const id = ids[at]
      const length = words[(at << 2) + 3] & 0xffff
      let armed = id
      if ((words[(at << 2) + 2] & RX_EOP) === 0) counters[FRAGMENTS]++
      else if ((length - 1) >>> 0 >= longest) counters[BAD_LENGTH]++
      else if (freeTop[pool] === 0) counters[POOL_EMPTY]++
      else {
        armed = freeStack[bottom + --freeTop[pool]]
        ids[at] = armed
        size[id] = length
        batch[count++] = id
        bytes += length
      }
      quads[at << 1] = iova[armed]
      quads[(at << 1) + 1] = 0
      at = (at + 1) & mask
    }
    finish(at, count, bytes)
    return count
  }

  /** The card sees the doorbell after the descriptors: see doorbell.ts. */
  function finish(at: number, packets: number, bytes: number): void {
    index[0] = at
    counters[PACKETS] += packets
    counters[BYTES] += bytes
    if (PLAIN_DOORBELL) tail[tailIndex] = (at - 1) & mask
    else Atomics.store(tail, tailIndex, (at - 1) & mask)
  }

  function start(newTail: Int32Array, newTailIndex: number): void {
    tail = newTail
    tailIndex = newTailIndex
    index[0] = 0
    counters.fill(0)
    quads.fill(0)
    for (let at = 0; at < entries; at++) {
      const id = freeStack[bottom + --freeTop[pool]]
      ids[at] = id
      quads[at << 1] = iova[id]
    }
    Atomics.store(tail, tailIndex, mask)
  }

  function next(): number {
    return index[0] & mask
  }

  return { receive, next, start, parts: { memory, pool, words, quads, ids, index, finish } }
}
