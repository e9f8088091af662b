/**
 * AssemblyScript, compiled to WebAssembly: a forwarder's step (../wasm-mover.ts). What receive(), touch and transmit() do one after
 * the other is done here packet by packet: ids and lengths stay in registers, and a batch of one costs a call and not five.
 */
import { RX_DD, TX_RS, TX_SHORTEST } from '../descriptors'
import { bufferShift, buffersAt, HEADROOM, ofPacket } from './buffers'
import { arm, COMPLETE, GROUP, receive, RxRing } from './rx'
import { describe, transmit } from './tx'
import { TxRing } from './tx-ring'

/** From one receive ring to one transmit ring. */
@unmanaged
class Pass {
  from: RxRing
  to: TxRing
  /** Room for ids, in 32-bit words, and how many. */
  batch: usize
  size: i32
  /** A byte of each packet that is incremented, -1 for none. */
  touched: i32
  /** Descriptors looked at, and, in the lower half, packets moved by the last step. JavaScript reads it. */
  moved: i32
  /** The last packet and its length. */
  id: u32
  length: u32

  /** Where the byte that is incremented would be in packet 0 without the stagger. */
  @inline
  get data(): usize {
    return buffersAt + HEADROOM + this.touched
  }

  /** Increments it in packet `id`. */
  @inline
  static touch(data: usize, shift: usize, id: usize): void {
    const at = ofPacket(data, shift, id)
    store<u8>(at, load<u8>(at) + 1)
  }

  /** There is another packet. */
  @inline
  hasMore(): bool {
    const from = this.from
    return (load<u32>(from.descriptors + ((<usize>from.index) << 4), 8) & RX_DD) !== 0
  }

  /** `moved` packets, of `bytes` bytes, are moved; the last one is `id` and has `length` bytes. The pool has `left` ids left. */
  @inline
  goOn(moved: i32, left: i32, bytes: u32, length: u32, id: u32): void {
    this.from.goOn(moved, left, moved, bytes)
    this.to.goOn(moved, bytes)
    this.length = length
    this.id = id
  }
}

/** Moves up to a batch for each of the `count` passes; returns the sum of what it has written to them. */
export function move(passes: usize, count: i32): i32 {
  let sum = 0
  for (; count > 0; count--, passes += offsetof<Pass>()) {
    const pass = changetype<Pass>(passes)
    const limit = min(pass.to.room(), pass.size)
    if (limit === 1 && moveOne(pass)) {
      sum += ONE
      continue
    }
    const first = pass.to.index
    const moved = limit < GROUP ? moveFew(pass, limit) : moveMany(pass, limit)
    if (moved !== 0) pass.to.close(first, pass.length, pass.id >> pass.to.poolShift)
    pass.moved = moved | (moved << 16)
    if (moved < limit && pass.hasMore()) pass.moved += moveOdd(pass, limit - moved)
    sum += pass.moved
  }
  return sum
}

/** Of Pass.moved: one packet, one descriptor. */
const ONE = 0x10001

/** A batch of one packet, if it is as usual: what the other ways do, without anything that is there for several. */
function moveOne(pass: Pass): bool {
  const from = pass.from
  const start = from.index
  const source = from.descriptors + ((<usize>start) << 4)
  const status = atomic.load<u64>(source, 8)
  const length = lengthOf(status)
  const left = load<i32>(from.top) - 1
  if ((status & COMPLETE) !== COMPLETE || length - TX_SHORTEST > from.longest - TX_SHORTEST || left < 0)
    return false
  const to = pass.to
  const first = to.index
  const slot = from.ids + ((<usize>start) << 1)
  const id: usize = load<u16>(slot)
  const fresh: usize = load<u16>(from.stack + ((<usize>left) << 1))
  if (pass.touched >= 0) Pass.touch(pass.data, bufferShift, id)
  store<u16>(slot, fresh)
  arm(source, fresh)
  from.goOn(1, left, 1, length)
  store<u16>(to.ids + ((<usize>first) << 1), id)
  describe(to.descriptors + ((<usize>first) << 4), id, length, TX_RS)
  store<u32>(to.batches + ((<usize>first) << 2), (<u32>first) | (((<u32>id) >> to.poolShift) << 16))
  to.goOn(1, length)
  pass.moved = ONE
  return true
}

function moveMany(pass: Pass, limit: i32): i32 {
  let left = limit
  do {
    left -= moveGroups(pass, left)
    if (left === 0) return limit
    // As far as the end of a ring, so that groups follow again.
    let few = left
    if (few >= GROUP)
      few = min(GROUP, min(pass.from.mask + 1 - pass.from.index, pass.to.mask + 1 - pass.to.index))
    const some = moveFew(pass, few)
    left -= some
    if (some < few) break
  } while (left > 0)
  return limit - left
}

/**
 * Four at a time, as far as neither ring ends. Returns how many packets: it stops before one about which something is special, and
 * where there is none.
 */
function moveGroups(pass: Pass, limit: i32): i32 {
  const from = pass.from
  const to = pass.to
  const start = from.index
  const first = to.index
  const most = from.longest - TX_SHORTEST
  const touched = pass.touched
  const data = pass.data
  const shift = bufferShift
  const top = load<i32>(from.top)
  let free = from.stack + ((<usize>top) << 1)
  let source = from.descriptors + ((<usize>start) << 4)
  let sourceId = from.ids + ((<usize>start) << 1)
  let target = to.descriptors + ((<usize>first) << 4)
  let targetId = to.ids + ((<usize>first) << 1)
  let sum: u32 = 0
  let length: u32 = 0
  let id: usize = 0
  let moved = 0
  const last = min(min(limit, top), min(from.mask + 1 - start, to.mask + 1 - first)) - GROUP
  for (; moved <= last; moved += GROUP) {
    const a = load<u64>(source, 8)
    const b = load<u64>(source, 24)
    const c = load<u64>(source, 40)
    const d = atomic.load<u64>(source, 56)
    const la = lengthOf(a)
    const lb = lengthOf(b)
    const lc = lengthOf(c)
    const ld = lengthOf(d)
    if (
      (a & b & c & d & COMPLETE) !== COMPLETE ||
      ((la - TX_SHORTEST) | (lb - TX_SHORTEST) | (lc - TX_SHORTEST) | (ld - TX_SHORTEST)) > most
    )
      break
    free -= GROUP * 2
    const fresh = load<u64>(free)
    const ids = load<u64>(sourceId)
    store<u64>(sourceId, fresh)
    store<u64>(targetId, ids)
    const ia: usize = <usize>(ids & 0xffff)
    const ib: usize = <usize>((ids >> 16) & 0xffff)
    const ic: usize = <usize>((ids >> 32) & 0xffff)
    id = <usize>(ids >> 48)
    if (touched >= 0) {
      Pass.touch(data, shift, ia)
      Pass.touch(data, shift, ib)
      Pass.touch(data, shift, ic)
      Pass.touch(data, shift, id)
    }
    arm(source, <usize>(fresh & 0xffff))
    arm(source + 16, <usize>((fresh >> 16) & 0xffff))
    arm(source + 32, <usize>((fresh >> 32) & 0xffff))
    arm(source + 48, <usize>(fresh >> 48))
    describe(target, ia, la)
    describe(target + 16, ib, lb)
    describe(target + 32, ic, lc)
    describe(target + 48, id, ld)
    sum += la + lb + lc + ld
    length = ld
    source += GROUP * 16
    sourceId += GROUP * 2
    target += GROUP * 16
    targetId += GROUP * 2
  }
  if (moved !== 0) pass.goOn(moved, top - moved, sum, length, <u32>id)
  return moved
}

/** The same one by one, around the ends of the rings as well. */
function moveFew(pass: Pass, limit: i32): i32 {
  const from = pass.from
  const to = pass.to
  const start = from.index
  const first = to.index
  let top = load<i32>(from.top)
  let sum: u32 = 0
  let length: u32 = 0
  let id: usize = 0
  let moved = 0
  limit = min(limit, top)
  for (; moved < limit; moved++) {
    const source: usize = (start + moved) & from.mask
    const descriptor = from.descriptors + (source << 4)
    const status = atomic.load<u64>(descriptor, 8)
    const bytes = lengthOf(status)
    if ((status & COMPLETE) !== COMPLETE || bytes - TX_SHORTEST > from.longest - TX_SHORTEST) break
    length = bytes
    sum += bytes
    const slot = from.ids + (source << 1)
    id = load<u16>(slot)
    if (pass.touched >= 0) Pass.touch(pass.data, bufferShift, id)
    top--
    const fresh: usize = load<u16>(from.stack + ((<usize>top) << 1))
    store<u16>(slot, fresh)
    arm(descriptor, fresh)
    const target: usize = (first + moved) & to.mask
    store<u16>(to.ids + (target << 1), id)
    describe(to.descriptors + (target << 4), id, length)
  }
  if (moved !== 0) pass.goOn(moved, top, sum, length, <u32>id)
  return moved
}

/**
 * The long way: the next packet is to be dropped or filled up, or the pool is empty. Returns packets, and in the upper half descriptors, as
 * receive() does.
 */
function moveOdd(pass: Pass, limit: i32): i32 {
  const batch = pass.batch
  const received = receive(pass.from, batch, limit)
  const count = received & 0xffff
  if (pass.touched >= 0) {
    for (let i = 0; i < count; i++) Pass.touch(pass.data, bufferShift, load<u32>(batch + ((<usize>i) << 2)))
  }
  transmit(pass.to, batch, count)
  return received
}

/** Of a packet, by the upper half of its descriptor. */
function lengthOf(status: u64): u32 {
  return (<u32>(status >> 32)) & 0xffff
}
