/** AssemblyScript, compiled to WebAssembly: the state of a transmit ring (../tx-ring.ts), and how it frees what the card has sent. */
import { TX_DD, TX_DEXT, TX_DTYP_DATA, TX_EOP, TX_IFCS, TX_RS } from '../descriptors'
import { FREE_STACK, FREE_TOP } from '../../../memory/wasm-layout'
import { tally } from './tally'

export const COMMAND: u64 = TX_DEXT | TX_IFCS | TX_EOP | TX_DTYP_DATA

/** Throws (memory/refusals.ts). */
declare function refuseSurplus(id: i32): void

/** In the place of a pool: several. */
export const MIXED: u32 = 0xffff

/** What is known of a ring. It stands in the memory, so that one instance serves all rings of a worker. */
@unmanaged
export class TxRing {
  /** Next descriptor to fill. JavaScript reads it: it is the first word. */
  index: i32
  /** Oldest descriptor that is not yet freed. */
  oldest: i32
  /** Descriptors, less one. */
  mask: i32
  /**
   * Where the descriptors are, and for each the id of its buffer and, if a batch starts there, a word with the pool of its
   * packets and the index of its last descriptor.
   */
  descriptors: usize
  ids: usize
  batches: usize
  poolShift: i32
  /** How many buffers there are. */
  buffers: u32
  /** Bytes of the longest packet that fits one. */
  longest: i32

  /** The entry of the batch that starts at descriptor `first`. */
  @inline
  batchAt(first: i32): u32 {
    return load<u32>(this.batches + ((<usize>first) << 2))
  }

  /** Whether the card has finished with the batch. */
  @inline
  done(batch: u32): bool {
    return (load<u32>(this.descriptors + ((<usize>(batch & 0xffff)) << 4), 12) & TX_DD) !== 0
  }

  /** Frees the packets of every batch the card has finished; returns how many transmit() would take now. */
  @inline
  room(): i32 {
    const at = this.oldest
    const end = this.index
    if (at !== end && this.done(this.batchAt(at))) return free(this)
    return (at - end - 1) & this.mask
  }

  /** The next `count` descriptors are filled, with `bytes` bytes. */
  @inline
  goOn(count: i32, bytes: u32): void {
    this.index = (this.index + count) & this.mask
    tally(changetype<usize>(this), count, bytes)
  }

  /** From descriptor `first` on, all are a batch: the last packet has `length` bytes, all are of `pool`, or MIXED. */
  @inline
  close(first: i32, length: u32, pool: u32): void {
    const last = (this.index - 1) & this.mask
    // Made anew, as reading a part of what was just stored as a whole makes the CPU wait for the store.
    store<u32>(this.descriptors + ((<usize>last) << 4), (<u32>COMMAND) | TX_RS | length, 8)
    store<u32>(this.batches + ((<usize>first) << 2), (<u32>last) | (pool << 16))
  }
}

/** Frees the packets of every batch the card has finished, of which there is one; returns how many transmit() would take now. */
function free(ring: TxRing): i32 {
  const mask = ring.mask
  const end = ring.index
  let at = ring.oldest
  let surplus: i32 = -1
  while (at !== end) {
    let batch = ring.batchAt(at)
    if (!ring.done(batch)) break
    // Batches of one pool, one behind the other, are freed together.
    const from = at
    const pool = batch >> 16
    do {
      at = (<i32>(batch & 0xffff) + 1) & mask
      if (at === end) break
      batch = ring.batchAt(at)
    } while (batch >> 16 === pool && ring.done(batch))
    if (pool === MIXED || !fits(ring, pool, (at - from) & mask)) {
      const id = freeOneByOne(ring, from, at)
      if (id !== -1) surplus = id
    } else if (at > from) freeTogether(ring, pool, from, at - from)
    else {
      freeTogether(ring, pool, from, mask + 1 - from)
      freeTogether(ring, pool, 0, at)
    }
  }
  ring.oldest = at
  if (surplus !== -1) refuseSurplus(surplus)
  return (at - end - 1) & mask
}

/** The pool has room for so many. If not, something has been freed twice. */
function fits(ring: TxRing, pool: u32, count: i32): bool {
  return load<i32>(<usize>FREE_TOP + ((<usize>pool) << 2)) + count <= 1 << ring.poolShift
}

/** Frees the `count` packets from descriptor `at` on, all of `pool`. */
function freeTogether(ring: TxRing, pool: u32, at: i32, count: i32): void {
  const top = <usize>FREE_TOP + ((<usize>pool) << 2)
  const used = load<i32>(top)
  let from = ring.ids + ((<usize>at) << 1)
  let free = <usize>FREE_STACK + ((<usize>((pool << ring.poolShift) + used)) << 1)
  store<i32>(top, used + count)
  for (; count >= 8; count -= 8) {
    v128.store(free, v128.load(from))
    from += 16
    free += 16
  }
  for (; count > 0; count--) {
    store<u16>(free, load<u16>(from))
    from += 2
    free += 2
  }
}

/** The same for packets of any pool. Returns an id for which there was no room, -1 if there was for all of them. */
function freeOneByOne(ring: TxRing, from: i32, end: i32): i32 {
  let surplus: i32 = -1
  for (let at = from; at !== end; at = (at + 1) & ring.mask) {
    const id = <i32>load<u16>(ring.ids + ((<usize>at) << 1))
    const pool = id >> ring.poolShift
    const top = <usize>FREE_TOP + ((<usize>pool) << 2)
    const used = load<i32>(top)
    if (used >= 1 << ring.poolShift) {
      surplus = id
      continue
    }
    store<u16>(<usize>FREE_STACK + ((<usize>((pool << ring.poolShift) + used)) << 1), id)
    store<i32>(top, used + 1)
  }
  return surplus
}
