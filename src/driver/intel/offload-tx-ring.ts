import { OffloadFlag, type PacketOffloads } from '../../memory/offloads.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { refuseSurplus } from '../../memory/refusals.ts'
import { whole } from '../../memory/whole.ts'
import { EtherType, HEADER_BYTES, TYPE } from '../../packet/ethernet.ts'
import { specialise } from '../../specialise.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { ASKED, verifyOffloads } from '../offload-work.ts'
import { BYTES, PACKETS } from './counters.ts'
import { TX_DD, TX_PAYLEN_SHIFT, TX_RS, TX_SHORTEST } from './descriptors.ts'
import { Requests } from './offload-requests.ts'
import { COMMAND, type TransmitLoops, TxRing } from './tx-ring.ts'

/**
 * TxRing for packets with offloads. A packet for which something is asked may take a descriptor more, for its context
 * (offload-requests.ts):
 *
 *     ┌───┬───┬───┬───┬───┬───┬───┬───┐
 *     │ · │ · │ C │ p │ p │ p │ C │ P │         C context   p packet   P the last one of a transmit() call, with RS
 *     └───┴───┴───┴───┴───┴───┴───┴───┘
 *
 * Packets are counted as they leave: cut, and with their tags. room() is the number of free descriptors all the same: where there is none left for a context, software does the work.
 */
export class OffloadTxRing extends TxRing {
  constructor(memory: PacketMemory, offloads: PacketOffloads, ring: ArrayBufferLike) {
    super(memory, ring, (counters) =>
      specialise(makeTransmit)(memory, offloads, new Requests(memory, offloads, ring), ring, counters, {
        ...{ CHECKSUM_OPEN: OffloadFlag.CHECKSUM_OPEN, HEADER_BYTES, TYPE },
        ...{ VLAN_TYPE: EtherType.VLAN, SERVICE_TYPE: EtherType.SERVICE_VLAN },
        ...{ COMMAND, ASKED, TX_RS, TX_DD, TX_PAYLEN_SHIFT, TX_SHORTEST, PACKETS, BYTES, PLAIN_DOORBELL },
        ...{ refuseSurplus, verifyOffloads, whole },
      }),
    )
  }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each ring. */
function makeTransmit(
  memory: PacketMemory,
  offloads: PacketOffloads,
  requests: Requests,
  ring: ArrayBufferLike,
  counters: Float64Array,
  names: Readonly<Record<'COMMAND' | 'ASKED' | 'TX_RS' | 'TX_DD' | 'TX_PAYLEN_SHIFT', number>> &
    Readonly<Record<'TX_SHORTEST' | 'PACKETS' | 'BYTES' | 'CHECKSUM_OPEN' | 'HEADER_BYTES', number>> &
    Readonly<Record<'TYPE' | 'VLAN_TYPE' | 'SERVICE_TYPE', number>> & {
      PLAIN_DOORBELL: boolean
      refuseSurplus(id: number): never
      verifyOffloads(m: PacketMemory, o: PacketOffloads, batch: Int32Array, from: number, end: number): void
      whole(n: number): number
    },
): TransmitLoops {
  const { COMMAND, ASKED, TX_RS, TX_DD, TX_PAYLEN_SHIFT, TX_SHORTEST, PACKETS, BYTES, PLAIN_DOORBELL } = names
  const { CHECKSUM_OPEN, HEADER_BYTES, TYPE, VLAN_TYPE, SERVICE_TYPE } = names
  const { refuseSurplus, verifyOffloads, whole } = names
  const { u8, size, iova, freeStack, freeTop, poolShift, longest } = memory
  const { flags, segment, checksumStart, checksumOffset } = offloads
  const poolSize = 1 << poolShift
  const words = new Uint32Array(ring)
  const quads = new Float64Array(ring)
  const entries = words.length >> 2
  const mask = entries - 1
  /** Buffer id behind each descriptor, and how many packets leave in consequence of it: a context is none. */
  const ids = new Uint16Array(entries)
  const leaving = new Uint8Array(entries)
  const batchEnd = new Uint16Array(entries)
  /** Where the last packet's sum begins (0: it asked for more), its field, EtherType, bits of word 3. */
  const same = new Int32Array(4)
  /** [0]: next descriptor to fill; [1]: oldest one not yet freed; [2]: packets that leave between them. */
  const state = new Int32Array(3)
  let tail: Int32Array = new Int32Array(1)
  let tailIndex = 0

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
    let free = (state[1] - first - 1) & mask
    // Twice: a context for each.
    if (free < most << 1) free = room()
    if (most > free) most = free
    if (most === 0) return 0

    const end = (start + most) | 0
    let at = first
    let bytes = 0
    let odd = 0
    for (let i = start; i < end; i++) {
      const id = batch[i]
      const length = size[id]
      ids[at] = id
      leaving[at] = 1
      quads[at << 1] = iova[id]
      words[(at << 2) + 2] = COMMAND | length
      words[(at << 2) + 3] = length << TX_PAYLEN_SHIFT // clears DD
      bytes += length // not a number from a packet on that is none
      odd |= (length - TX_SHORTEST) | (longest - length) | -((flags[id] & ASKED) | segment[id])
      at = (at + 1) & mask
    }
    // No sign in any of them: all of them fit, and ask for nothing.
    if (odd < 0 || !(bytes >= 0)) return fillAgain(batch, start, end, first, (free - most) | 0)
    handOver(first, (at - 1) & mask, most, bytes)
    return most
  }

  /** With what is asked for; `spare` descriptors are left for contexts. */
  function fillAgain(batch: Int32Array, start: number, end: number, first: number, spare: number): number {
    verify(batch, start, end)
    let at = first
    let last = first
    let count = 0
    let packets = 0
    let bytes = 0
    for (let i = start; i < end; i++) {
      const id = batch[i]
      if (size[id] < TX_SHORTEST) memory.pad(id, TX_SHORTEST)
      let command = COMMAND
      let options = 0
      let more = 0
      const asked = (flags[id] & ASKED) | (segment[id] << 8)
      if (asked === CHECKSUM_OPEN && isSame(id)) options = (size[id] << TX_PAYLEN_SHIFT) | same[3]
      else if (asked !== 0) {
        const contexts = requests.ask(id, at, spare)
        if (contexts < 0) break
        if (contexts > 0) {
          leaving[at] = 0
          at = (at + 1) & mask
          spare = (spare - 1) | 0
        }
        const { words: asking } = requests
        command |= asking[0]
        options = asking[1]
        more = asking[2]
        bytes = (bytes + asking[3]) | 0
        remember(id, asked, options)
      }
      const length = size[id]
      ids[at] = id
      leaving[at] = 1 + more
      packets = (packets + 1 + more) | 0
      quads[at << 1] = iova[id]
      words[(at << 2) + 2] = command | length
      words[(at << 2) + 3] = options !== 0 ? options : length << TX_PAYLEN_SHIFT
      bytes = (bytes + length) | 0
      last = at
      at = (at + 1) & mask
      count = (count + 1) | 0
    }
    if (count > 0) handOver(first, last, packets, bytes)
    return count
  }

  /** A first look, which is enough where nothing but checksums is asked for. */
  function verify(batch: Int32Array, start: number, end: number): void {
    let odd = 0
    let total = 0
    for (let i = start; i < end; i++) {
      const id = batch[i]
      const length = size[id]
      const asked = (flags[id] & ASKED) | (segment[id] << 8)
      const from = checksumStart[id]
      total += length
      odd |= longest - length
      if (asked === CHECKSUM_OPEN) odd |= (from - HEADER_BYTES) | (length - from - checksumOffset[id] - 2)
      else odd |= -asked
    }
    if (odd < 0 || !(total >= 0)) verifyOffloads(memory, offloads, batch, start, end)
  }

  function typeOf(id: number): number {
    const at = memory.dataOffset(id) + TYPE
    return (u8[at] << 8) | u8[at + 1]
  }

  /** It looks like the packet before, of which nothing but the checksum of TCP or UDP was asked. */
  function isSame(id: number): boolean {
    return checksumStart[id] === same[0] && checksumOffset[id] === same[1] && typeOf(id) === same[2]
  }

  function remember(id: number, asked: number, options: number): void {
    const type = typeOf(id)
    // What is behind a tag would have to be the same, too.
    const simple = asked === CHECKSUM_OPEN && options !== 0 && type !== VLAN_TYPE && type !== SERVICE_TYPE
    same[0] = simple ? checksumStart[id] : 0
    same[1] = checksumOffset[id]
    same[2] = type
    same[3] = options & ((1 << TX_PAYLEN_SHIFT) - 1)
  }

  function handOver(first: number, last: number, packets: number, bytes: number): void {
    const end = (last + 1) & mask
    words[(last << 2) + 2] |= TX_RS
    batchEnd[first] = last
    state[0] = end
    state[2] += packets
    counters[PACKETS] += packets
    counters[BYTES] += bytes
    if (PLAIN_DOORBELL) tail[tailIndex] = end
    else Atomics.store(tail, tailIndex, end)
  }

  /** As TxRing's. */
  function room(): number {
    const index = state[0] & mask
    let oldest = state[1] & mask
    let surplus = -1
    let freed = 0
    let pool = 0
    let top = freeTop[0]
    while (oldest !== index && (words[((batchEnd[oldest] & mask) << 2) + 3] & TX_DD) !== 0) {
      const end = (batchEnd[oldest] + 1) & mask
      do {
        const id = ids[oldest]
        const packets = leaving[oldest]
        oldest = (oldest + 1) & mask
        if (packets === 0) continue
        freed = (freed + packets) | 0
        if (id >> poolShift !== pool) {
          freeTop[pool] = top
          pool = id >> poolShift
          top = freeTop[pool]
        }
        if (top === poolSize) surplus = id
        else {
          freeStack[((pool << poolShift) + top) | 0] = id
          top = (top + 1) | 0
        }
      } while (oldest !== end)
    }
    freeTop[pool] = top
    state[1] = oldest
    state[2] -= freed
    if (surplus !== -1) refuseSurplus(surplus)
    return (oldest - index - 1) & mask
  }

  function pending(): number {
    room()
    return state[2]
  }

  function begin(newTail: Int32Array, newTailIndex: number): void {
    tail = newTail
    tailIndex = newTailIndex
    state.fill(0)
    counters.fill(0)
    quads.fill(0)
    same.fill(0)
    requests.forget()
  }

  return { transmit, room, pending, start: begin }
}
