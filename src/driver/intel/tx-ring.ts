import { BYTES, PACKETS } from './counters.ts'
import {
  TX_DD,
  TX_DEXT,
  TX_DTYP_DATA,
  TX_EOP,
  TX_IFCS,
  TX_PAYLEN_SHIFT,
  TX_RS,
  TX_SHORTEST,
  TX_TSTAMP,
} from './descriptors.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { REFUSALS, type Refusals } from '../../memory/refusals.ts'
import { whole } from '../../memory/whole.ts'
import { specialise } from '../../specialise.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { TxQueue } from '../device.ts'
import { type TxParts, enlistTx, moverOf } from './mover.ts'

/** Of a packet in one descriptor. */
export const COMMAND = TX_DEXT | TX_IFCS | TX_EOP | TX_DTYP_DATA

/**
 * The software side of a transmit descriptor ring (82599 §7.2.3.3).
 *
 *          oldest: not yet freed                 index = tail register: next to fill
 *            ▼                                     ▼
 *     ┌───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┐
 *     │   │ s │ s │ S │ s │ s │ s │ S │ w │ w │ W │   │   │     s sent   w waiting   capital letter: RS is set
 *     └───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┘
 *
 * Only the last descriptor of each transmit() call asks for a status (RS): its write-back says that all before it are
 * done as well, as the card works in order. `batches[first]` remembers where the batch that starts at `first` ends.
 * Head is never read: the last descriptor written back decides (82599 §7.2.3.5.2).
 */
export class TxRing implements TxQueue {
  readonly transmit: (batch: Int32Array, from: number, count: number) => number
  readonly transmitStamped: ((batch: Int32Array, from: number) => number) | undefined
  readonly room: () => number
  readonly pending: () => number
  readonly mover = moverOf
  private readonly restart: (tail: Int32Array, tailIndex: number) => void
  private readonly counters = new Float64Array(new ArrayBuffer(2 * 8))

  /** `ring` is the descriptors' memory, its entries a power of two. `make` has other loops, which count into the array. */
  constructor(
    memory: PacketMemory,
    ring: ArrayBufferLike,
    make = (counters: Float64Array): TransmitLoops => {
      const ofDescriptors = { COMMAND, TX_RS, TX_TSTAMP, TX_DD, TX_PAYLEN_SHIFT, TX_SHORTEST }
      const names = { ...ofDescriptors, PACKETS, BYTES, PLAIN_DOORBELL }
      return specialise(makeTransmit)(memory, ring, counters, { ...names, ...REFUSALS, whole })
    },
  ) {
    const loops = make(this.counters)
    this.transmit = loops.transmit
    this.transmitStamped = loops.transmitStamped
    this.room = loops.room
    this.pending = loops.pending
    this.restart = loops.start
    if (loops.parts !== undefined) enlistTx(this, loops.parts)
  }

  /** Begins anew, empty, with counts of zero. `tail[tailIndex]` is TDT; the queue must be enabled, TDH and TDT zero. */
  start(tail: Int32Array, tailIndex: number): void {
    this.restart(tail, tailIndex)
  }

  /** Packets and bytes (without FCS) handed to the card since start(). */
  get packets(): number {
    return this.counters[PACKETS]
  }

  get bytes(): number {
    return this.counters[BYTES]
  }
}

export interface TransmitLoops {
  transmit(batch: Int32Array, from: number, count: number): number
  transmitStamped?(batch: Int32Array, from: number): number
  room(): number
  pending(): number
  start(tail: Int32Array, tailIndex: number): void
  /** What mover.ts works on; left out: it can't. */
  readonly parts?: TxParts
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each ring. */
function makeTransmit(
  memory: PacketMemory,
  ring: ArrayBufferLike,
  counters: Float64Array,
  names: Readonly<
    Record<
      'COMMAND' | 'TX_RS' | 'TX_TSTAMP' | 'TX_DD' | 'TX_PAYLEN_SHIFT' | 'TX_SHORTEST' | 'PACKETS' | 'BYTES',
      number
    >
  > &
    Refusals & {
      PLAIN_DOORBELL: boolean
      whole(n: number): number
    },
): TransmitLoops {
  const { COMMAND, TX_RS, TX_TSTAMP, TX_DD, TX_PAYLEN_SHIFT, TX_SHORTEST, PACKETS, BYTES, PLAIN_DOORBELL } =
    names
  const { refuseStranger, refuseSurplus, refuseTooLong, whole } = names
  const { size, iova, freeStack, freeTop, poolShift, longest } = memory
  const buffers = size.length
  const poolSize = 1 << poolShift
  /** The descriptors as 32-bit words (4 each) and as 64-bit values (2 each). */
  const words = new Uint32Array(ring)
  const quads = new Float64Array(ring)
  const entries = words.length >> 2
  const mask = entries - 1
  /** Buffer id behind each descriptor. */
  const ids = new Uint16Array(entries)
  /** For a descriptor where a batch starts: its last one, and in the upper half the pool of its packets, or MIXED. */
  const batches = new Int32Array(entries)
  const MIXED = 0xffff
  /** [0]: next descriptor to fill; [1]: oldest one not yet freed; [2]: what the last descriptor of a batch asks for. */
  const state = new Int32Array(new ArrayBuffer(3 * 4))
  let tail: Int32Array = new Int32Array(1)
  let tailIndex = 0

  /** Apart from fill(), as V8 inlines functions up to a certain size only. */
  function transmit(batch: Int32Array, from: number, count: number): number {
    let start = from | 0
    if (start !== from) start = whole(from)
    let most = count | 0
    if (most !== count) most = whole(count)
    const held = ((batch.length | 0) - start) | 0
    if (most > held) most = held
    return start < 0 || most <= 0 ? 0 : fill(batch, start, most)
  }

  function fill(batch: Int32Array, start: number, most: number): number {
    const first = state[0] & mask
    let accepted = (state[1] - first - 1) & mask
    if (accepted < most) accepted = room()
    if (accepted > most) accepted = most
    if (accepted === 0) return 0

    const end = (start + accepted) | 0
    let at = first
    let last = first
    let bytes = 0
    let odd = 0
    const some = batch[start]
    let others = 0
    for (let i = start; i < end; i++) {
      const id = batch[i]
      const length = size[id]
      others |= id ^ some
      ids[at] = id
      quads[at << 1] = iova[id]
      words[(at << 2) + 2] = COMMAND | length
      words[(at << 2) + 3] = length << TX_PAYLEN_SHIFT // clears DD
      bytes += length // not a number from a packet on that is none
      odd |= length - TX_SHORTEST
      last = at
      at = (at + 1) & mask
    }
    // No bit in any of them, so all of them fit; otherwise one of them may not.
    if (odd >>> 0 > longest - TX_SHORTEST || !(bytes >= 0)) bytes = sortOut(batch, start, accepted, first)
    return handOver(first, last, accepted, bytes, others >> poolShift === 0 ? some >> poolShift : MIXED)
  }

  /** What the card hasn't been told of is as good as not done, so this can still refuse. Returns the packets' bytes. */
  function sortOut(batch: Int32Array, start: number, count: number, first: number): number {
    let bytes = 0
    let short = 0
    for (let i = start; i < start + count; i++) {
      const id = batch[i]
      if (id >>> 0 >= buffers) refuseStranger('transmit', id, buffers)
      if (size[id] > longest) refuseTooLong(id, size[id], longest)
      bytes += size[id]
      short |= size[id] - TX_SHORTEST
    }
    return short < 0 ? bytes + pad(first, count) : bytes
  }

  function transmitStamped(batch: Int32Array, from: number): number {
    state[2] = TX_RS | TX_TSTAMP
    const count = transmit(batch, from, 1)
    state[2] = TX_RS
    return count
  }

  /** `pool`: of all of the packets, or MIXED. */
  function handOver(first: number, last: number, count: number, bytes: number, pool: number): number {
    const end = (last + 1) & mask
    words[(last << 2) + 2] |= state[2]
    batches[first] = last | (pool << 16)
    state[0] = end
    counters[PACKETS] += count
    counters[BYTES] += bytes
    // The card sees it after the descriptors and the packets: see doorbell.ts.
    if (PLAIN_DOORBELL) tail[tailIndex] = end
    else Atomics.store(tail, tailIndex, end)
    return count
  }

  /** Brings those of `count` packets from descriptor `at` on that are too short to the least length; returns the bytes added. */
  function pad(at: number, count: number): number {
    let added = 0
    for (; count > 0; count--, at = (at + 1) & mask) {
      const id = ids[at]
      if (size[id] >= TX_SHORTEST) continue
      added += TX_SHORTEST - size[id]
      memory.pad(id, TX_SHORTEST)
      words[(at << 2) + 2] = COMMAND | TX_SHORTEST
      words[(at << 2) + 3] = TX_SHORTEST << TX_PAYLEN_SHIFT
    }
    return added
  }

  /**
   * Frees the packets of every batch the card has finished. DD is read plainly: what depends on it are stores only,
   * and no machine stores before a branch is decided.
   */
  function room(): number {
    const index = state[0] & mask
    let oldest = state[1] & mask
    while (oldest !== index) {
      const batch = batches[oldest]
      if ((words[((batch & mask) << 2) + 3] & TX_DD) === 0) break
      const end = (batch + 1) & mask
      const pool = batch >>> 16
      if (pool === MIXED) return freeOneByOne(oldest, end)
      const top = (freeTop[pool] + ((end - oldest) & mask)) | 0
      if (top > poolSize) return freeOneByOne(oldest, end)
      let free = ((pool << poolShift) + freeTop[pool]) | 0
      freeTop[pool] = top
      do {
        freeStack[free] = ids[oldest]
        free = (free + 1) | 0
        oldest = (oldest + 1) & mask
      } while (oldest !== end)
      state[1] = oldest
    }
    return (oldest - index - 1) & mask
  }

  /** The same, whatever the pools: first of the batch from `at` to `end`. */
  function freeOneByOne(at: number, end: number): number {
    const index = state[0] & mask
    let surplus = -1
    for (;;) {
      for (; at !== end; at = (at + 1) & mask) {
        const id = ids[at]
        const pool = id >> poolShift
        if (freeTop[pool] === poolSize) surplus = id
        else freeStack[(pool << poolShift) + freeTop[pool]++] = id
      }
      if (at === index || (words[((batches[at] & mask) << 2) + 3] & TX_DD) === 0) break
      end = (batches[at] + 1) & mask
    }
    state[1] = at
    if (surplus !== -1) refuseSurplus(surplus)
    return (at - index - 1) & mask
  }

  function pending(): number {
    room()
    return (state[0] - state[1]) & mask
  }

  function begin(newTail: Int32Array, newTailIndex: number): void {
    tail = newTail
    tailIndex = newTailIndex
    state.set([0, 0, TX_RS])
    counters.fill(0)
    quads.fill(0)
  }

  const parts = { memory, command: COMMAND, words, quads, ids, state, room, handOver }
  return { transmit, transmitStamped, room, pending, start: begin, parts }
}
