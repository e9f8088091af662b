import { OffloadFlag, type PacketOffloads } from '../../memory/offloads.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { whole } from '../../memory/whole.ts'
import { specialise } from '../../specialise.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import * as COUNTER from './counters.ts'
import { RX_DD, RX_EOP, RX_IPE, RX_L4CS, RX_L4E, RX_UDP, RX_VP } from './descriptors.ts'
import { type ReceiveLoops, RxRing } from './rx-ring.ts'

const { BAD_LENGTH, BYTES, FRAGMENTS, PACKETS, POOL_EMPTY } = COUNTER
const { CHECKSUM_BAD, CHECKSUM_GOOD, VLAN } = OffloadFlag

/** RxRing for packets with offloads: what the card has found out about checksums, and the tags it has taken out. */
export class OffloadRxRing extends RxRing {
  constructor(memory: PacketMemory, offloads: PacketOffloads, pool: number, ring: ArrayBufferLike) {
    super(memory, pool, ring, (counters) =>
      specialise(makeReceive)(memory, offloads, pool, ring, counters, {
        ...{ RX_DD, RX_EOP, PACKETS, BYTES, POOL_EMPTY, FRAGMENTS, BAD_LENGTH, PLAIN_DOORBELL, whole },
        // Without VME the bit tells of tags that are still in the packet (82599 §7.1.6.2).
        TAG: offloads.stripVlan ? RX_VP : 0,
        VERDICT: RX_L4CS | RX_L4E | RX_IPE,
        GOOD: RX_L4CS,
        BAD: RX_L4E | RX_IPE,
        ...{ CHECKSUM_GOOD, VLAN, faultFlags },
      }),
    )
  }
}

/**
 * For a packet with an error. What the 82599 finds wrong with a datagram of UDP is nothing to go by: it doesn't know those
 * without a checksum (its specification update; Linux's ixgbe does the same).
 */
function faultFlags(type: number, status: number): number {
  return (status & RX_IPE) === 0 && (type & RX_UDP) !== 0 ? 0 : CHECKSUM_BAD
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each ring. The loops of rx-ring.ts, but that all packets go the same way: this one isn't the fastest. */
function makeReceive(
  memory: PacketMemory,
  { flags, segment, vlan }: PacketOffloads,
  pool: number,
  ring: ArrayBufferLike,
  counters: Float64Array,
  names: Readonly<
    Record<'RX_DD' | 'RX_EOP' | 'PACKETS' | 'BYTES' | 'POOL_EMPTY' | 'FRAGMENTS' | 'BAD_LENGTH', number>
  > &
    Readonly<Record<'TAG' | 'VERDICT' | 'GOOD' | 'BAD' | 'CHECKSUM_GOOD' | 'VLAN', number>> & {
      PLAIN_DOORBELL: boolean
      faultFlags(type: number, status: number): number
      whole(n: number): number
    },
): ReceiveLoops {
  const { RX_DD, RX_EOP, PACKETS, BYTES, POOL_EMPTY, FRAGMENTS, BAD_LENGTH, PLAIN_DOORBELL, whole } = names
  const { TAG, VERDICT, GOOD, BAD, CHECKSUM_GOOD, VLAN, faultFlags } = names
  const { size, iova, freeStack, freeTop, longest } = memory
  const bottom = pool << memory.poolShift
  const words = new Uint32Array(ring)
  const quads = new Float64Array(ring)
  const entries = words.length >> 2
  const mask = entries - 1
  /** Buffer id behind each descriptor. */
  const ids = new Uint16Array(entries)
  /** [0]: next descriptor to look at. */
  const index = new Int32Array(1)
  let tail: Int32Array = new Int32Array(1)
  let tailIndex = 0

  function receive(batch: Int32Array, limit: number): number {
    let most = limit | 0
    if (most !== limit) most = whole(limit)
    const held = batch.length | 0
    if (most > held) most = held
    if (most > mask) most = mask
    let at = index[0] & mask
    let ready = 0
    while (ready < most && (words[(at << 2) + 2] & RX_DD) !== 0) {
      at = (at + 1) & mask
      ready = (ready + 1) | 0
    }
    if (ready === 0) return 0
    // An acquiring load of the last one: RxRing says why.
    Atomics.load(words, (((at - 1) & mask) << 2) + 2)
    return take(batch, ready)
  }

  function take(batch: Int32Array, ready: number): number {
    let at = index[0] & mask
    let top = freeTop[pool]
    let count = 0
    let bytes = 0
    for (let i = 0; i < ready; i++) {
      const id = ids[at]
      const word = at << 2
      const status = words[word + 2] | 0
      const last = words[word + 3] | 0
      const length = last & 0xffff
      let armed = id
      if ((status & RX_EOP) === 0) counters[FRAGMENTS]++
      else if ((length - 1) >>> 0 >= longest) counters[BAD_LENGTH]++
      else if (top === 0) counters[POOL_EMPTY]++
      else {
        top = (top - 1) | 0
        armed = freeStack[(bottom + top) | 0]
        ids[at] = armed
        size[id] = length
        let found = (status & VERDICT) === GOOD ? CHECKSUM_GOOD : 0
        if ((status & BAD) !== 0) found = faultFlags(words[word] | 0, status)
        if ((status & TAG) !== 0) found |= VLAN
        flags[id] = found
        vlan[id] = last >>> 16
        segment[id] = 0
        batch[count] = id
        count = (count + 1) | 0
        // With the tag's four, as in transmit: 4 is half of RX_VP.
        bytes = (bytes + length + ((status & TAG) >> 1)) | 0
      }
      quads[at << 1] = iova[armed]
      quads[(at << 1) + 1] = 0 // clears DD
      at = (at + 1) & mask
    }
    freeTop[pool] = top
    index[0] = at
    counters[PACKETS] += count
    counters[BYTES] += bytes
    if (PLAIN_DOORBELL) tail[tailIndex] = (at - 1) & mask
    else Atomics.store(tail, tailIndex, (at - 1) & mask)
    return count
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

  return { receive, next, start }
}
