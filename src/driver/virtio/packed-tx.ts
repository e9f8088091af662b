import type { PacketMemory } from '../../memory/packets.ts'
import { REFUSALS, type Refusals } from '../../memory/refusals.ts'
import { whole } from '../../memory/whole.ts'
import { specialise } from '../../specialise.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { packedLayout } from './layout.ts'
import { AVAIL, EVENTS_DISABLE, SHORTEST, USED } from './queue-words.ts'
import * as COUNTER from './counters.ts'
import type { RingParts, TransmitLoops } from './ring-parts.ts'

/**
 * The software side of a packed transmit queue (virtio 1.2 §2.8); packed-rx.ts has a drawing. The device may be done with packets in
 * another order than they were given to it, so ids of descriptors are taken from a stack, and looked up when they come back.
 */
export function packedTransmit(memory: PacketMemory, parts: RingParts): TransmitLoops {
  const flags = { AVAIL, USED, EVENTS_DISABLE, SHORTEST }
  const names = { ...flags, ...COUNTER, ...REFUSALS, PLAIN_DOORBELL, whole }
  return specialise(makeTransmit)(memory, parts, packedLayout(parts.entries), names)
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue. */
function makeTransmit(
  memory: PacketMemory,
  parts: RingParts,
  layout: { readonly driver: number; readonly device: number },
  names: Readonly<
    Record<
      | 'AVAIL'
      | 'USED'
      | 'EVENTS_DISABLE'
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
  const { AVAIL, USED, EVENTS_DISABLE, SHORTEST, PLAIN_DOORBELL, whole } = names
  const { TX_PACKETS, TX_BYTES, TX_DONE_PACKETS, TX_DONE_BYTES } = names
  const { refuseStranger, refuseSurplus, refuseTooLong } = names
  const { size, u8, freeStack, freeTop, bufferShift, poolShift, longest } = memory
  const { ring, entries, heads, counters, headerBytes } = parts
  const buffers = size.length
  const poolSize = 1 << poolShift
  const words = new Uint32Array(ring)
  const quads = new Float64Array(ring)
  const headers = new Uint32Array(u8.buffer, u8.byteOffset, u8.length >> 2)
  const mask = entries - 1
  const driver = layout.driver >> 2
  const device = layout.device >> 2
  const both = ((AVAIL | USED) << 16) | 0
  /** Packet buffer behind each of the ids that descriptors carry, and those ids that are free. */
  const ids = new Uint16Array(entries)
  const free = new Uint16Array(entries)
  /** [0]: number of free ids. [1]: next descriptor to fill, [2]: flags of an available one there. [3]: next that may be used, [4]: flags then. */
  const state = new Int32Array(5)
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
    let accepted = (state[0] - 1) | 0
    if (accepted < most) accepted = room()
    if (accepted > most) accepted = most
    if (accepted <= 0) return 0

    let top = state[0]
    const first = state[1] & mask
    let flags = state[2]
    let at = first
    let bytes = 0
    let odd = 0
    let firstWord = 0
    for (let i = 0; i < accepted; i++) {
      const id = batch[(start + i) | 0]
      // Before it is used: a header would be written where no packet is.
      if (id >>> 0 >= buffers) sortOut(batch, start, accepted)
      const length = size[id]
      top = (top - 1) | 0
      const buffer = free[top]
      ids[buffer] = id
      const word = at << 2
      quads[at << 1] = heads[id]
      words[word + 2] = length + headerBytes
      if (i === 0) firstWord = buffer | (flags << 16)
      else words[word + 3] = buffer | (flags << 16)
      // An empty header: nothing is left for the device to do (§5.1.6.2).
      const header = ((id << bufferShift) + (52 + ((id & 7) << 6))) >> 2
      headers[header] = 0
      headers[header + 1] = 0
      headers[header + 2] = 0
      bytes = (bytes + length) | 0
      odd |= length - SHORTEST
      at = (at + 1) & mask
      if (at === 0) flags ^= AVAIL | USED
    }
    // No bit in any of them, so all of them fit; otherwise one of them may not.
    if (odd >>> 0 > longest - SHORTEST) bytes = sortOut(batch, start, accepted)
    state[0] = top
    state[1] = at
    state[2] = flags
    counters[TX_PACKETS] += accepted
    counters[TX_BYTES] += bytes
    // The first one last, see finish() in packed-rx.ts.
    Atomics.store(words, (first << 2) + 3, firstWord)
    const event = PLAIN_DOORBELL ? words[device] : Atomics.load(words, device)
    if (event >>> 16 !== EVENTS_DISABLE) kick()
    return accepted
  }

  /** What the device hasn't been told of is as good as not done, so this can still refuse. Returns the packets' bytes. */
  function sortOut(batch: Int32Array, start: number, count: number): number {
    for (let i = start; i < start + count; i++) {
      const id = batch[i]
      if (id >>> 0 < buffers && size[id] <= longest) continue
      retract(count)
      if (id >>> 0 >= buffers) refuseStranger('transmit', id, buffers)
      refuseTooLong(id, size[id], longest)
    }
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const id = batch[start + i]
      if (size[id] < SHORTEST) {
        memory.pad(id, SHORTEST)
        words[(((state[1] + i) & mask) << 2) + 2] = SHORTEST + headerBytes
      }
      bytes += size[id]
    }
    return bytes
  }

  /** Those behind the first one say that they are available: once the first one is, they would be. */
  function retract(count: number): void {
    let at = state[1]
    let used = state[2] === AVAIL ? 0 : both
    for (let i = 0; i < count; i++) {
      words[(at << 2) + 3] = used
      at = (at + 1) & mask
      if (at === 0) used ^= both
    }
  }

  /** Frees the packets that the device has given back. One id is never used: pools are sized for rings that keep one. */
  function room(): number {
    let left = state[0] | 0
    let at = state[3] & mask
    let used = state[4]
    if (left === entries || (words[(at << 2) + 3] & both) !== used) return (left - 1) | 0
    const before = left
    let pool = -1
    let base = 0
    let top = 0
    let bytes = 0
    let surplus = -1
    do {
      const word = Atomics.load(words, (at << 2) + 3)
      const buffer = word & mask
      const id = ids[buffer]
      if (id >> poolShift !== pool) {
        if (pool !== -1) freeTop[pool] = top
        pool = id >> poolShift
        base = pool << poolShift
        top = freeTop[pool]
      }
      bytes = (bytes + size[id]) | 0
      if (top === poolSize) surplus = id
      else {
        freeStack[(base + top) | 0] = id
        top = (top + 1) | 0
      }
      free[left] = buffer
      left = (left + 1) | 0
      at = (at + 1) & mask
      if (at === 0) used ^= both
    } while (left < entries && (words[(at << 2) + 3] & both) === used)
    freeTop[pool] = top
    state[0] = left
    state[3] = at
    state[4] = used
    counters[TX_DONE_PACKETS] += left - before
    counters[TX_DONE_BYTES] += bytes
    if (surplus !== -1) refuseSurplus(surplus)
    return (left - 1) | 0
  }

  function pending(): number {
    room()
    return entries - state[0]
  }

  function start(ring: () => void): void {
    kick = ring
    words.fill(0)
    state[0] = entries
    state[1] = 0
    state[2] = AVAIL
    state[3] = 0
    state[4] = both
    for (let buffer = 0; buffer < entries; buffer++) free[entries - 1 - buffer] = buffer
    Atomics.store(words, driver, EVENTS_DISABLE << 16)
  }

  return { transmit, room, pending, start }
}
