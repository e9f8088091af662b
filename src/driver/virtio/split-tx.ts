import type { PacketMemory } from '../../memory/packets.ts'
import { REFUSALS, type Refusals } from '../../memory/refusals.ts'
import { whole } from '../../memory/whole.ts'
import { specialise } from '../../specialise.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { splitLayout } from './layout.ts'
import { NEXT, NO_INTERRUPT, NO_NOTIFY, SHORTEST } from './queue-words.ts'
import * as COUNTER from './counters.ts'
import type { RingParts, TransmitLoops } from './ring-parts.ts'

/**
 * The software side of a split transmit queue (virtio 1.2 §2.7); split-rx.ts has a drawing. Free slots wait in a queue: the one that
 * came back first goes first, so that with a device that keeps the order, as most do, all of them stay in a row. It needn't, so which
 * packet is sent is looked up in `ids`.
 */
export function splitTransmit(memory: PacketMemory, parts: RingParts): TransmitLoops {
  const layout = splitLayout(parts.entries)
  const flags = { NEXT, NO_INTERRUPT, NO_NOTIFY, SHORTEST }
  const names = { ...flags, ...COUNTER, ...REFUSALS, PLAIN_DOORBELL, whole }
  return specialise(makeTransmit)(memory, parts, layout, names)
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue. */
function makeTransmit(
  memory: PacketMemory,
  parts: RingParts,
  layout: { readonly available: number; readonly used: number },
  names: Readonly<
    Record<
      | 'NEXT'
      | 'NO_INTERRUPT'
      | 'NO_NOTIFY'
      | 'SHORTEST'
      | 'TX_PACKETS'
      | 'TX_BYTES'
      | 'TX_DONE_PACKETS'
      | 'TX_DONE_BYTES',
      number
    >
  > &
    Refusals & { PLAIN_DOORBELL: boolean; whole(n: number): number },
): TransmitLoops {
  const { NEXT, NO_INTERRUPT, NO_NOTIFY, SHORTEST, PLAIN_DOORBELL, whole } = names
  const { TX_PACKETS, TX_BYTES, TX_DONE_PACKETS, TX_DONE_BYTES } = names
  const { refuseStranger, refuseSurplus, refuseTooLong } = names
  const { size, iova, u8, freeStack, freeTop, bufferShift, poolShift, longest } = memory
  const { ring, entries, slots, heads, counters, headerBytes, eventIndex } = parts
  const chain = parts.headerAlone ? 1 : 0
  const buffers = size.length
  const poolSize = 1 << poolShift
  const words = new Uint32Array(ring)
  const halfs = new Uint16Array(ring)
  const quads = new Float64Array(ring)
  /** Packet buffers as 32-bit words: the three in front of a packet hold its header. */
  const headers = new Uint32Array(u8.buffer, u8.byteOffset, u8.length >> 2)
  const mask = entries - 1
  const slotMask = slots - 1
  const availableFlags = layout.available >> 1
  const availableIndex = availableFlags + 1
  const availableRing = availableFlags + 2
  const usedFlags = layout.used >> 1
  const usedIndex = usedFlags + 1
  const usedRing = (layout.used + 4) >> 2
  const availableEvent = ((layout.used + 4) >> 1) + 4 * entries
  /** Buffer id behind each slot. */
  const ids = new Uint16Array(slots)
  /** Free slots: the one that is made available as number n stands at n modulo `slots`. */
  const free = new Uint16Array(slots)
  /** [0]: slots made available, [1]: elements of the used ring taken out, modulo 2^16. */
  const state = new Int32Array(2)
  let kick: () => void = () => undefined

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
    const first = state[0] | 0
    let accepted = (slots - 1 - ((first - state[1]) & 0xffff)) | 0
    if (accepted < most) accepted = room()
    if (accepted > most) accepted = most
    if (accepted <= 0) return 0

    let bytes = 0
    let odd = 0
    for (let i = 0; i < accepted; i++) {
      const id = batch[(start + i) | 0]
      // Before it is used: a header would be written where no packet is.
      if (id >>> 0 >= buffers) sortOut(batch, start, accepted)
      const length = size[id]
      const slot = free[(first + i) & slotMask]
      ids[slot] = id
      const descriptor = slot << chain
      quads[descriptor << 1] = heads[id]
      if (chain === 0) words[(descriptor << 2) + 2] = length + headerBytes
      else {
        quads[(descriptor << 1) + 2] = iova[id]
        words[(descriptor << 2) + 6] = length
      }
      // An empty header: nothing is left for the device to do (§5.1.6.2).
      const header = ((id << bufferShift) + (52 + ((id & 7) << 6))) >> 2
      headers[header] = 0
      headers[header + 1] = 0
      headers[header + 2] = 0
      halfs[availableRing + ((first + i) & mask)] = descriptor
      bytes = (bytes + length) | 0
      odd |= length - SHORTEST
    }
    // No bit in any of them, so all of them fit; otherwise one of them may not.
    if (odd >>> 0 > longest - SHORTEST) bytes = sortOut(batch, start, accepted)
    handOver(accepted, bytes)
    return accepted
  }

  /** What the device hasn't been told of is as good as not done, so this can still refuse. Returns the packets' bytes. */
  function sortOut(batch: Int32Array, start: number, count: number): number {
    for (let i = start; i < start + count; i++) {
      const id = batch[i]
      if (id >>> 0 >= buffers) refuseStranger('transmit', id, buffers)
      if (size[id] > longest) refuseTooLong(id, size[id], longest)
    }
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const id = batch[start + i]
      if (size[id] < SHORTEST) {
        memory.pad(id, SHORTEST)
        const descriptor = free[(state[0] + i) & slotMask] << chain
        if (chain === 0) words[(descriptor << 2) + 2] = SHORTEST + headerBytes
        else words[(descriptor << 2) + 6] = SHORTEST
      }
      bytes += size[id]
    }
    return bytes
  }

  /** See finish() in split-rx.ts. */
  function handOver(count: number, bytes: number): void {
    const available = (state[0] + count) & 0xffff
    state[0] = available
    counters[TX_PACKETS] += count
    counters[TX_BYTES] += bytes
    Atomics.store(halfs, availableIndex, available)
    if (eventIndex) {
      const event = PLAIN_DOORBELL ? halfs[availableEvent] : Atomics.load(halfs, availableEvent)
      if (((available - event - 1) & 0xffff) < count) kick()
    } else if (((PLAIN_DOORBELL ? halfs[usedFlags] : Atomics.load(halfs, usedFlags)) & NO_NOTIFY) === 0)
      kick()
  }

  /** Frees the packets that the device has given back. One slot is never used: pools are sized for rings that keep one. */
  function room(): number {
    const from = state[1] | 0
    const held = (state[0] - from) & 0xffff
    let count = (halfs[usedIndex] - from) & 0xffff
    if (count === 0) return (slots - 1 - held) | 0
    Atomics.load(halfs, usedIndex)
    // More than were given to it can't come back.
    if (count > held) count = held
    // A pool with more free buffers may have no room for them.
    const most = (poolSize - count) | 0
    let pool = -1
    let base = 0
    let top = 0
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const slot = (words[usedRing + (((from + i) & mask) << 1)] >> chain) & slotMask
      const id = ids[slot]
      if (id >> poolShift !== pool) {
        if (pool !== -1) freeTop[pool] = top
        pool = id >> poolShift
        base = pool << poolShift
        top = freeTop[pool]
        if (top > most) return freeOneByOne(from, i, count, bytes)
      }
      bytes = (bytes + size[id]) | 0
      freeStack[(base + top) | 0] = id
      top = (top + 1) | 0
      free[(from + i) & slotMask] = slot
    }
    freeTop[pool] = top
    state[1] = (from + count) & 0xffff
    counters[TX_DONE_PACKETS] += count
    counters[TX_DONE_BYTES] += bytes
    return (slots - 1 - held + count) | 0
  }

  /** The rest of it: from the element numbered `done` on. */
  function freeOneByOne(from: number, done: number, count: number, bytes: number): number {
    let surplus = -1
    for (let i = 0; i < count; i++) {
      const slot = (words[usedRing + (((from + i) & mask) << 1)] >> chain) & slotMask
      free[(from + i) & slotMask] = slot
      if (i < done) continue
      const id = ids[slot]
      const pool = id >> poolShift
      bytes += size[id]
      if (freeTop[pool] === poolSize) surplus = id
      else freeStack[(pool << poolShift) + freeTop[pool]++] = id
    }
    state[1] = (from + count) & 0xffff
    counters[TX_DONE_PACKETS] += count
    counters[TX_DONE_BYTES] += bytes
    if (surplus !== -1) refuseSurplus(surplus)
    return slots - 1 - ((state[0] - state[1]) & 0xffff)
  }

  function pending(): number {
    room()
    return (state[0] - state[1]) & 0xffff
  }

  function start(ring: () => void): void {
    kick = ring
    words.fill(0)
    state.fill(0)
    for (let slot = 0; slot < slots; slot++) {
      free[slot] = slot
      if (chain === 0) continue
      words[(slot << 3) + 2] = headerBytes
      words[(slot << 3) + 3] = NEXT | (((slot << 1) + 1) << 16)
    }
    halfs[availableFlags] = NO_INTERRUPT
  }

  return { transmit, room, pending, start }
}
