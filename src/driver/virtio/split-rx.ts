import { whole } from '../../memory/whole.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { specialise } from '../../specialise.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { splitLayout } from './layout.ts'
import { NEXT, NO_INTERRUPT, NO_NOTIFY, WRITE } from './queue-words.ts'
import * as COUNTER from './counters.ts'
import type { ReceiveLoops, RingParts } from './ring-parts.ts'

/**
 * The software side of a split receive queue (virtio 1.2 §2.7).
 *
 *     descriptors      │ buffer │ buffer │ buffer │ buffer │ …      one for each slot, armed for good: only the address changes
 *                          ▲                 ▲
 *     available ring   │   0    │   2    │   1    │   3    │ …      slots in the order in which we have given them
 *                                                 ▲ idx
 *     used ring        │ 2, 60  │ 0, 1514│        │        │ …      slots in the order in which the device is done, and lengths
 *                                        ▲ idx
 *
 * The device takes slots and gives them back in whatever order it likes: which packet a slot holds is in `ids`. Every slot taken out
 * is given back at once with a fresh buffer, so the device has all of them always. What is written where:
 *
 *     packet buffer    │ … headroom … │ header │ packet …            the header directly in front, 10 or 12 bytes (§5.1.6)
 */
export function splitReceive(memory: PacketMemory, pool: number, parts: RingParts): ReceiveLoops {
  const layout = splitLayout(parts.entries)
  const flags = { NEXT, WRITE, NO_INTERRUPT, NO_NOTIFY }
  return specialise(makeReceive)(memory, pool, parts, layout, { ...flags, ...COUNTER, PLAIN_DOORBELL, whole })
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue. */
function makeReceive(
  memory: PacketMemory,
  pool: number,
  parts: RingParts,
  layout: { readonly available: number; readonly used: number },
  names: Readonly<
    Record<
      | 'NEXT'
      | 'WRITE'
      | 'NO_INTERRUPT'
      | 'NO_NOTIFY'
      | 'RX_PACKETS'
      | 'RX_BYTES'
      | 'POOL_EMPTY'
      | 'FRAGMENTS'
      | 'BAD_LENGTH'
      | 'RX_UNTAKEN',
      number
    >
  > & { PLAIN_DOORBELL: boolean; whole(n: number): number },
): ReceiveLoops {
  const { NEXT, WRITE, NO_INTERRUPT, NO_NOTIFY, PLAIN_DOORBELL, whole } = names
  const { RX_PACKETS, RX_BYTES, POOL_EMPTY, FRAGMENTS, BAD_LENGTH, RX_UNTAKEN } = names
  const { size, iova, u8, freeStack, freeTop, bufferShift, longest } = memory
  const { ring, entries, slots, heads, counters, headerBytes, mergeable, eventIndex, interrupts } = parts
  /** Descriptors of a packet are 1 << chain. */
  const chain = parts.headerAlone ? 1 : 0
  const bottom = pool << memory.poolShift
  const words = new Uint32Array(ring)
  const halfs = new Uint16Array(ring)
  const quads = new Float64Array(ring)
  /** Packet buffers as 16-bit words: num_buffers is the last two bytes in front of a packet. */
  const headers = new Uint16Array(u8.buffer, u8.byteOffset, u8.length >> 1)
  const mask = entries - 1
  const slotMask = slots - 1
  const availableFlags = layout.available >> 1
  const availableIndex = availableFlags + 1
  const availableRing = availableFlags + 2
  const usedEvent = availableRing + entries
  const usedFlags = layout.used >> 1
  const usedIndex = usedFlags + 1
  const usedRing = (layout.used + 4) >> 2
  const availableEvent = ((layout.used + 4) >> 1) + 4 * entries
  /** Buffer id behind each slot. */
  const ids = new Uint16Array(slots)
  /** [0]: elements of the used ring taken out, modulo 2^16. [1]: parts still to come of a packet that is too large. */
  const state = new Int32Array(2)
  /** [0]: bytes of the packets that sift() has left. */
  const sums = new Float64Array(1)
  let kick: () => void = () => undefined

  /** Apart from take(), as V8 inlines functions up to a certain size only. */
  function receive(batch: Int32Array, limit: number): number {
    let most = limit | 0
    if (most !== limit) most = whole(limit)
    const held = batch.length | 0
    if (most > held) most = held
    if (most > slots) most = slots
    return take(batch, most)
  }

  /**
   * The device writes an element, then the index. So an acquiring load of the index comes before all that it covers; one per batch,
   * none in a poll that finds nothing.
   */
  function take(batch: Int32Array, most: number): number {
    const first = state[0] | 0
    let count = (halfs[usedIndex] - first) & 0xffff
    if (count > most) count = most
    if (count <= 0) return 0
    Atomics.load(halfs, usedIndex)

    let top = freeTop[pool]
    if (top < count || state[1] !== 0) return receiveOneByOne(batch, first, count)
    freeTop[pool] = top - count
    top = (top + bottom) | 0
    let bytes = 0
    let odd = 0
    let parts = 0
    for (let i = 0; i < count; i++) {
      const at = (first + i) | 0
      const element = usedRing + ((at & mask) << 1)
      const slot = (words[element] >> chain) & slotMask
      const length = (words[element + 1] - headerBytes) | 0
      const id = ids[slot]
      top = (top - 1) | 0
      const fresh = freeStack[top]
      ids[slot] = fresh
      size[id] = length
      batch[i] = id
      bytes = (bytes + length) | 0
      odd |= length - 1
      if (mergeable) parts |= headers[((id << bufferShift) + (62 + ((id & 7) << 6))) >> 1] ^ 1
      const descriptor = slot << chain
      quads[descriptor << 1] = heads[fresh]
      if (chain !== 0) quads[(descriptor << 1) + 2] = iova[fresh]
      halfs[availableRing + ((at + slots) & mask)] = descriptor
    }
    // No bit in any of them, so all of them fit; otherwise one of them may not, or is a part only.
    let packets = count
    if (odd >>> 0 >= longest || parts !== 0) {
      packets = sift(batch, first, count)
      bytes = sums[0]
    }
    finish(first, count, packets, bytes)
    return packets
  }

  /**
   * What is wrong with element `at` of the used ring, whose buffer is `id`: the number of the counter that it belongs to; -1: nothing;
   * -2: it is a further part of a packet that was dropped.
   */
  function fault(at: number, id: number): number {
    if (state[1] > 0) {
      state[1]--
      return -2
    }
    const length = (words[usedRing + ((at & mask) << 1) + 1] - headerBytes) | 0
    const parts = mergeable ? headers[((id << bufferShift) + (62 + ((id & 7) << 6))) >> 1] : 1
    if (parts > 1) {
      state[1] = parts - 1
      return FRAGMENTS
    }
    return parts === 1 && (length - 1) >>> 0 < longest ? -1 : BAD_LENGTH
  }

  /** Drops those of the batch that are no whole packet; returns how many are left. Their slots have fresh buffers already. */
  function sift(batch: Int32Array, first: number, count: number): number {
    let left = 0
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      const wrong = fault(first + i, id)
      if (wrong === -1) {
        batch[left++] = id
        bytes += size[id]
        continue
      }
      if (wrong >= 0) counters[wrong]++
      freeStack[bottom + freeTop[pool]++] = id
    }
    sums[0] = bytes
    return left
  }

  /** The same for `count` elements, some of which have to be dropped: their buffers stay in their slots. */
  function receiveOneByOne(batch: Int32Array, first: number, count: number): number {
    let packets = 0
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const at = first + i
      const element = usedRing + ((at & mask) << 1)
      const slot = (words[element] >> chain) & slotMask
      const id = ids[slot]
      const descriptor = slot << chain
      const wrong = fault(at, id)
      if (wrong >= 0) counters[wrong]++
      else if (wrong === -1 && freeTop[pool] === 0) counters[POOL_EMPTY]++
      else if (wrong === -1) {
        const fresh = freeStack[bottom + --freeTop[pool]]
        ids[slot] = fresh
        size[id] = words[element + 1] - headerBytes
        bytes += size[id]
        batch[packets++] = id
        quads[descriptor << 1] = heads[fresh]
        if (chain !== 0) quads[(descriptor << 1) + 2] = iova[fresh]
      }
      halfs[availableRing + ((at + slots) & mask)] = descriptor
    }
    finish(first, count, packets, bytes)
    return packets
  }

  /**
   * Gives `count` slots back to the device. Storing the index both releases them and keeps the load behind it from overtaking it:
   * otherwise the device might go to sleep between the two, and nobody would wake it (§2.7.13.4).
   */
  function finish(first: number, count: number, packets: number, bytes: number): void {
    const taken = (first + count) & 0xffff
    const available = (taken + slots) & 0xffff
    state[0] = taken
    counters[RX_PACKETS] += packets
    counters[RX_BYTES] += bytes
    counters[RX_UNTAKEN] = 0
    // An interrupt for the next one that comes (§2.7.7).
    if (eventIndex && interrupts) halfs[usedEvent] = taken
    Atomics.store(halfs, availableIndex, available)
    if (eventIndex) {
      const event = PLAIN_DOORBELL ? halfs[availableEvent] : Atomics.load(halfs, availableEvent)
      if (((available - event - 1) & 0xffff) < count) kick()
    } else if (((PLAIN_DOORBELL ? halfs[usedFlags] : Atomics.load(halfs, usedFlags)) & NO_NOTIFY) === 0)
      kick()
  }

  function untaken(): number {
    const ready = (Atomics.load(halfs, usedIndex) - state[0]) & 0xffff
    let packets = 0
    let rest = state[1]
    for (let i = 0; i < Math.min(ready, slots); i++) {
      if (rest > 0) {
        rest--
        continue
      }
      packets++
      if (!mergeable) continue
      const id = ids[(words[usedRing + (((state[0] + i) & mask) << 1)] >> chain) & slotMask]
      rest = headers[(memory.dataOffset(id) - 2) >> 1] - 1
    }
    counters[RX_UNTAKEN] = packets
    return packets
  }

  function start(ring: () => void): void {
    kick = ring
    words.fill(0)
    state.fill(0)
    for (let slot = 0; slot < slots; slot++) {
      const id = freeStack[bottom + --freeTop[pool]]
      ids[slot] = id
      const descriptor = slot << chain
      quads[descriptor << 1] = heads[id]
      words[(descriptor << 2) + 2] = chain === 0 ? headerBytes + longest : headerBytes
      words[(descriptor << 2) + 3] = chain === 0 ? WRITE : WRITE | NEXT | ((descriptor + 1) << 16)
      if (chain !== 0) {
        quads[(descriptor << 1) + 2] = iova[id]
        words[(descriptor << 2) + 6] = longest
        words[(descriptor << 2) + 7] = WRITE
      }
      halfs[availableRing + slot] = descriptor
    }
    halfs[availableFlags] = interrupts ? 0 : NO_INTERRUPT
    // The device is told when it starts to work.
    Atomics.store(halfs, availableIndex, slots)
  }

  return { receive, untaken, start }
}
