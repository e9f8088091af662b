import { whole } from '../../memory/whole.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { specialise } from '../../specialise.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { packedLayout } from './layout.ts'
import { AVAIL, EVENTS_DISABLE, EVENTS_ENABLE, USED, WRITE } from './queue-words.ts'
import * as COUNTER from './counters.ts'
import type { ReceiveLoops, RingParts } from './ring-parts.ts'

/**
 * The software side of a packed receive queue (virtio 1.2 §2.8): one ring of descriptors, written by both sides.
 *
 *                at: next to look at
 *                  ▼
 *     ┌───┬───┬───┬───┬───┬───┬───┬───┐
 *     │ a │ a │ a │ u │ u │ a │ a │ a │      u  used: AVAIL = USED = wrap     a  available: AVAIL = our wrap, USED the other
 *     └───┴───┴───┴───┴───┴───┴───┴───┘
 *
 * Both flags change their meaning from round to round, so that nothing has to be cleared; `wrap` is the round's. The device puts what
 * it has used where it stands, so the id in a descriptor tells which buffer it was. Every descriptor taken out becomes
 * available again at once, with a fresh buffer, in the same place: the ring is always full.
 */
export function packedReceive(memory: PacketMemory, pool: number, parts: RingParts): ReceiveLoops {
  const flags = { AVAIL, USED, WRITE, EVENTS_ENABLE, EVENTS_DISABLE }
  const names = { ...flags, ...COUNTER, PLAIN_DOORBELL, whole }
  return specialise(makeReceive)(memory, pool, parts, packedLayout(parts.entries), names)
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue. */
function makeReceive(
  memory: PacketMemory,
  pool: number,
  parts: RingParts,
  layout: { readonly driver: number; readonly device: number },
  names: Readonly<
    Record<
      | 'AVAIL'
      | 'USED'
      | 'WRITE'
      | 'EVENTS_ENABLE'
      | 'EVENTS_DISABLE'
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
  const { AVAIL, USED, WRITE, EVENTS_ENABLE, EVENTS_DISABLE, PLAIN_DOORBELL, whole } = names
  const { RX_PACKETS, RX_BYTES, POOL_EMPTY, FRAGMENTS, BAD_LENGTH, RX_UNTAKEN } = names
  const { size, u8, freeStack, freeTop, bufferShift, longest } = memory
  const { ring, entries, heads, counters, headerBytes, mergeable, interrupts } = parts
  const bottom = pool << memory.poolShift
  const words = new Uint32Array(ring)
  const quads = new Float64Array(ring)
  const headers = new Uint16Array(u8.buffer, u8.byteOffset, u8.length >> 1)
  const mask = entries - 1
  const driver = layout.driver >> 2
  const device = layout.device >> 2
  /** In the last word of a descriptor the flags are above the id. */
  const both = ((AVAIL | USED) << 16) | 0
  const bufferBytes = headerBytes + longest
  /** Packet buffer behind each of the ids that descriptors carry. */
  const ids = new Uint16Array(entries)
  /** [0]: next descriptor to look at. [1]: flags of a used one there. [2]: parts still to come of a packet that is too large. */
  const state = new Int32Array(3)
  const sums = new Float64Array(1)
  let kick: () => void = () => undefined

  /** Apart from take(), as V8 inlines functions up to a certain size only. */
  function receive(batch: Int32Array, limit: number): number {
    let most = limit | 0
    if (most !== limit) most = whole(limit)
    const held = batch.length | 0
    if (most > held) most = held
    if (most > entries) most = entries
    return take(batch, most)
  }

  /** Counts first, then takes: one acquiring load for all of them, as in rx-ring.ts of intel. */
  function take(batch: Int32Array, most: number): number {
    const first = state[0] & mask
    let at = first
    let used = state[1]
    let count = 0
    let odd = 0
    while (count < most) {
      if ((words[(at << 2) + 3] & both) !== used) break
      odd |= (words[(at << 2) + 2] - headerBytes - 1) | 0
      at = (at + 1) & mask
      if (at === 0) used ^= both
      count = (count + 1) | 0
    }
    if (count === 0) return 0
    Atomics.load(words, (((at - 1) & mask) << 2) + 3)

    let top = freeTop[pool]
    // No bit in any of the lengths less one, so all packets fit; otherwise one of them may not.
    if (top < count || odd >>> 0 >= longest || state[2] !== 0) return receiveOneByOne(batch, first, count)
    freeTop[pool] = top - count
    top = (top + bottom) | 0
    let bytes = 0
    let parts = 0
    /** Available in the next round: the flag of the round that ends is the one that isn't set. */
    let flags = (state[1] === 0 ? AVAIL : USED) | WRITE
    let firstWord = 0
    at = first
    for (let i = 0; i < count; i++) {
      const word = at << 2
      const buffer = words[word + 3] & mask
      const length = (words[word + 2] - headerBytes) | 0
      const id = ids[buffer]
      top = (top - 1) | 0
      const fresh = freeStack[top]
      ids[buffer] = fresh
      size[id] = length
      batch[i] = id
      bytes = (bytes + length) | 0
      if (mergeable) parts |= headers[((id << bufferShift) + (62 + ((id & 7) << 6))) >> 1] ^ 1
      quads[at << 1] = heads[fresh]
      words[word + 2] = bufferBytes
      if (i === 0) firstWord = buffer | (flags << 16)
      else words[word + 3] = buffer | (flags << 16)
      at = (at + 1) & mask
      if (at === 0) flags ^= AVAIL | USED
    }
    let packets = count
    if (parts !== 0) {
      packets = sift(batch, count)
      bytes = sums[0]
    }
    finish(first, firstWord, count, packets, bytes)
    return packets
  }

  /** As in split-rx.ts; `length` as the device tells it. */
  function fault(length: number, id: number): number {
    if (state[2] > 0) {
      state[2]--
      return -2
    }
    const parts = mergeable ? headers[((id << bufferShift) + (62 + ((id & 7) << 6))) >> 1] : 1
    if (parts > 1) {
      state[2] = parts - 1
      return FRAGMENTS
    }
    return parts === 1 && (length - 1) >>> 0 < longest ? -1 : BAD_LENGTH
  }

  /** As in split-rx.ts. */
  function sift(batch: Int32Array, count: number): number {
    let left = 0
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      const wrong = fault(size[id], id)
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

  function receiveOneByOne(batch: Int32Array, first: number, count: number): number {
    let flags = (state[1] === 0 ? AVAIL : USED) | WRITE
    let firstWord = 0
    let packets = 0
    let bytes = 0
    let at = first
    for (let i = 0; i < count; i++) {
      const word = at << 2
      const buffer = words[word + 3] & mask
      const id = ids[buffer]
      const length = (words[word + 2] - headerBytes) | 0
      const wrong = fault(length, id)
      let armed = id
      if (wrong >= 0) counters[wrong]++
      else if (wrong === -1 && freeTop[pool] === 0) counters[POOL_EMPTY]++
      else if (wrong === -1) {
        armed = freeStack[bottom + --freeTop[pool]]
        ids[buffer] = armed
        size[id] = length
        bytes += length
        batch[packets++] = id
      }
      quads[at << 1] = heads[armed]
      words[word + 2] = bufferBytes
      if (i === 0) firstWord = buffer | (flags << 16)
      else words[word + 3] = buffer | (flags << 16)
      at = (at + 1) & mask
      if (at === 0) flags ^= AVAIL | USED
    }
    finish(first, firstWord, count, packets, bytes)
    return packets
  }

  /**
   * Makes `count` descriptors available: the first one last, as the device looks at no other before it (§2.8.21). The store also keeps
   * the load behind it from overtaking it.
   */
  function finish(first: number, firstWord: number, count: number, packets: number, bytes: number): void {
    const end = first + count
    counters[RX_PACKETS] += packets
    counters[RX_BYTES] += bytes
    counters[RX_UNTAKEN] = 0
    state[0] = end & mask
    if (end > mask) state[1] ^= both
    Atomics.store(words, (first << 2) + 3, firstWord)
    const event = PLAIN_DOORBELL ? words[device] : Atomics.load(words, device)
    if (event >>> 16 !== EVENTS_DISABLE) kick()
  }

  function untaken(): number {
    let at = state[0]
    let used = state[1]
    let rest = state[2]
    let packets = 0
    for (let i = 0; i < entries; i++) {
      const word = Atomics.load(words, (at << 2) + 3)
      if ((word & both) !== used) break
      if (rest > 0) rest--
      else {
        packets++
        if (mergeable) rest = headers[(memory.dataOffset(ids[word & mask]) - 2) >> 1] - 1
      }
      at = (at + 1) & mask
      if (at === 0) used ^= both
    }
    counters[RX_UNTAKEN] = packets
    return packets
  }

  function start(ring: () => void): void {
    kick = ring
    words.fill(0)
    state[0] = 0
    state[1] = both
    state[2] = 0
    for (let at = 0; at < entries; at++) {
      const id = freeStack[bottom + --freeTop[pool]]
      ids[at] = id
      quads[at << 1] = heads[id]
      words[(at << 2) + 2] = bufferBytes
      words[(at << 2) + 3] = at | ((AVAIL | WRITE) << 16)
    }
    Atomics.store(words, driver, (interrupts ? EVENTS_ENABLE : EVENTS_DISABLE) << 16)
  }

  return { receive, untaken, start }
}
