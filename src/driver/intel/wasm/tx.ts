/**
 * AssemblyScript, compiled to WebAssembly: the loops of ../tx-ring.ts, where the algorithm is explained. Addresses are bytes
 * from the start of the memory that it shares with JavaScript.
 */
import { TX_PAYLEN_SHIFT, TX_SHORTEST } from '../descriptors'
import { BYTES } from '../counters'
import { RING_COUNTERS } from '../wasm-state'
import { IOVA, SIZE } from '../../../memory/wasm-layout'
import { COMMAND, MIXED, TxRing } from './tx-ring'

/** Descriptors that are filled together. */
const GROUP = 4
/** PacketMemory.pad(), imported from JavaScript. */
declare function padPacket(id: i32, length: i32): void
/** These throw (memory/refusals.ts). */
declare function refuseStranger(id: i32): void
declare function refuseTooLong(id: i32): void

export function startTx(
  ring: TxRing,
  descriptors: usize,
  ids: usize,
  batches: usize,
  entries: i32,
  poolShift: i32,
  buffers: i32,
  longest: i32,
): void {
  ring.index = 0
  ring.oldest = 0
  ring.mask = entries - 1
  ring.descriptors = descriptors
  ring.ids = ids
  ring.batches = batches
  ring.poolShift = poolShift
  ring.buffers = buffers
  ring.longest = longest
  memory.fill(changetype<usize>(ring) + RING_COUNTERS, 0, (BYTES + 1) * 8)
  memory.fill(descriptors, 0, (<usize>entries) << 4)
}

/**
 * Fills descriptors for the up to `count` ids in the 32-bit words at `batch`; returns how many. Ids have 16 bits: with what
 * is above them, whatever it is, nothing is done until it is refused.
 */
export function transmit(ring: TxRing, batch: usize, count: i32): i32 {
  const mask = ring.mask
  const first = ring.index
  let accepted = (ring.oldest - first - 1) & mask
  if (accepted < count) accepted = ring.room()
  if (accepted > count) accepted = count
  if (accepted <= 0) return 0

  const shift = ring.poolShift
  const from = batch
  const pool = load<u32>(batch) >> shift
  let strangers: u32 = 0
  let sum: u32 = 0
  let odd: i32 = 0
  let at = first
  let left = accepted
  do {
    // Up to the end of the ring, then from its beginning.
    let descriptor = ring.descriptors + ((<usize>at) << 4)
    let slot = ring.ids + ((<usize>at) << 1)
    let stretch = min(left, mask + 1 - at)
    left -= stretch
    at = (at + stretch) & mask
    if (stretch >= GROUP) {
      let others = i32x4.splat(0)
      do {
        const ids = v128.load(batch)
        others = v128.or(others, v128.xor(i32x4.shr_u(ids, shift), i32x4.splat(pool)))
        v128.store64_lane(slot, i16x8.narrow_i32x4_u(ids, ids), 0)
        const length0 = fill(descriptor, load<u16>(batch))
        const length1 = fill(descriptor + 16, load<u16>(batch, 4))
        const length2 = fill(descriptor + 32, load<u16>(batch, 8))
        const length3 = fill(descriptor + 48, load<u16>(batch, 12))
        sum += length0 + length1 + length2 + length3
        odd |=
          (length0 - TX_SHORTEST) |
          (length1 - TX_SHORTEST) |
          (length2 - TX_SHORTEST) |
          (length3 - TX_SHORTEST)
        batch += GROUP * 4
        descriptor += GROUP * 16
        slot += GROUP * 2
        stretch -= GROUP
      } while (stretch >= GROUP)
      strangers |= <u32>v128.any_true(others)
    }
    for (; stretch > 0; stretch--) {
      strangers |= (load<u32>(batch) >> shift) ^ pool
      const id: usize = load<u16>(batch)
      store<u16>(slot, id)
      const length = fill(descriptor, id)
      sum += length
      odd |= length - TX_SHORTEST
      batch += 4
      descriptor += 16
      slot += 2
    }
  } while (left > 0)
  // No bit in any of them, so all of them fit; otherwise one of them may not. What the card hasn't been told of is as good
  // as not done, so all of it can still be refused.
  if (<u32>odd > <u32>(ring.longest - TX_SHORTEST) || strangers !== 0 || pool >= ring.buffers >> shift) {
    verify(ring, from, accepted)
    if (odd < 0) sum += pad(ring, first, accepted)
  }
  const length: u32 = load<u16>((<usize>load<u16>(batch - 4)) << 1, SIZE)
  ring.goOn(accepted, sum)
  ring.close(first, length, strangers !== 0 ? MIXED : pool)
  return accepted
}

/** Throws if one of the `count` ids at `batch` is no packet's, or one of the packets is longer than its buffer. */
function verify(ring: TxRing, batch: usize, count: i32): void {
  for (const end = batch + ((<usize>count) << 2); batch < end; batch += 4) {
    const id = load<u32>(batch)
    if (id >= ring.buffers) refuseStranger(id)
    if (<i32>load<u16>((<usize>id) << 1, SIZE) > ring.longest) refuseTooLong(id)
  }
}

/** Brings those of `count` packets from descriptor `at` on that are too short to the least length; returns the bytes added. */
function pad(ring: TxRing, at: i32, count: i32): u32 {
  let added: u32 = 0
  for (; count > 0; count--, at = (at + 1) & ring.mask) {
    const id: usize = load<u16>(ring.ids + ((<usize>at) << 1))
    const length: i32 = load<u16>(id << 1, SIZE)
    if (length >= TX_SHORTEST) continue
    added += TX_SHORTEST - length
    padPacket(<i32>id, TX_SHORTEST)
    fill(ring.descriptors + ((<usize>at) << 4), id)
  }
  return added
}

/** Returns the packet's length. */
function fill(descriptor: usize, id: usize): i32 {
  const length: u64 = load<u16>(id << 1, SIZE)
  describe(descriptor, id, length)
  return <i32>length
}

/** Of packet `id`, which has `length` bytes. `more`: bits of the command besides, TX_RS. */
export function describe(descriptor: usize, id: usize, length: u64, more: u64 = 0): void {
  const command = COMMAND | more | length | (length << (32 + TX_PAYLEN_SHIFT))
  v128.store(descriptor, i64x2.replace_lane(v128.load_zero<u64>(id << 3, IOVA), 1, command)) // clears DD
}

/** Frees the packets of every batch the card has finished; returns how many transmit() would take now. */
export function room(ring: TxRing): i32 {
  return ring.room()
}

export function pending(ring: TxRing): i32 {
  room(ring)
  return (ring.index - ring.oldest) & ring.mask
}
