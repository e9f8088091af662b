/** The rings of rx-ring.ts and tx-ring.ts with their loops in WebAssembly (wasm/rx.ts, wasm/tx.ts). */
import type { PacketMemory } from '../../memory/packets.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'
import type { RxQueue, TxQueue } from '../device.ts'
import { BAD_LENGTH, BYTES, FRAGMENTS, PACKETS, POOL_EMPTY } from './counters.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { BatchPlaces } from '../batch-places.ts'
import { Counters } from './wasm-counters.ts'
import { TX_TSTAMP } from './descriptors.ts'
import { countPackets } from './rx-ring.ts'
import { whole } from '../../memory/whole.ts'
import { specialise } from '../../specialise.ts'
import { importsOfTx, instantiate } from './wasm-instance.ts'
import rxCode from './wasm/rx.wasm'
import txCode from './wasm/tx.wasm'

interface RxLoops {
  start(
    ring: number,
    ids: number,
    counters: number,
    entries: number,
    pool: number,
    bottom: number,
    longest: number,
  ): void
  receive(batch: number, limit: number): number
}

interface TxLoops {
  start(
    ring: number,
    ids: number,
    batches: number,
    counters: number,
    entries: number,
    poolShift: number,
    buffers: number,
    longest: number,
  ): void
  transmit(batch: number, count: number): number
  room(): number
  pending(): number
}

export class WasmRxRing implements RxQueue {
  readonly receive: (batch: Int32Array, limit: number) => number
  readonly untaken: () => number
  private readonly counters: Counters
  private readonly begin: () => void
  private readonly ring: (tail: Int32Array, tailIndex: number) => void

  /** `ring`: offset of the descriptors in `space`; their number is a power of two. */
  constructor(space: WasmSpace, memory: PacketMemory, pool: number, ring: number, entries: number) {
    const loops = instantiate(rxCode, space) as RxLoops
    const ids = space.take(entries * 2)
    const make = specialise(makeReceive)
    const { receive, next, start } = make(
      loops.receive,
      new BatchPlaces(space, entries),
      entries - 1,
      PLAIN_DOORBELL,
      whole,
    )
    this.receive = receive
    const words = new Uint32Array(space.buffer, ring, entries * 4)
    this.untaken = () => countPackets(words, next())
    this.ring = start
    const counters = new Counters(space, BAD_LENGTH + 1)
    this.counters = counters
    const { poolShift, longest } = memory
    this.begin = () => loops.start(ring, ids, counters.at, entries, pool, pool << poolShift, longest)
  }

  /** As RxRing.start(). */
  start(tail: Int32Array, tailIndex: number): void {
    this.begin()
    this.ring(tail, tailIndex)
  }

  get packets(): number {
    return this.counters.get(PACKETS)
  }

  get bytes(): number {
    return this.counters.get(BYTES)
  }

  get poolEmpty(): number {
    return this.counters.get(POOL_EMPTY)
  }

  get fragments(): number {
    return this.counters.get(FRAGMENTS)
  }

  get badLength(): number {
    return this.counters.get(BAD_LENGTH)
  }
}

export class WasmTxRing implements TxQueue {
  readonly transmit: (batch: Int32Array, from: number, count: number) => number
  readonly transmitStamped: (batch: Int32Array, from: number) => number
  readonly room: () => number
  readonly pending: () => number
  private readonly counters: Counters
  private readonly begin: () => void
  private readonly ring: (tail: Int32Array, tailIndex: number) => void

  /** `ring`: offset of the descriptors in `space`; their number is a power of two. */
  constructor(space: WasmSpace, memory: PacketMemory, ring: number, entries: number) {
    const loops = instantiate(txCode, space, importsOfTx(memory)) as TxLoops
    const ids = space.take(entries * 2)
    const batches = space.take(entries * 4)
    const words = new Uint32Array(space.buffer, ring, entries * 4)
    const make = specialise(makeTransmit)
    const { transmit, transmitStamped, start } = make(
      loops.transmit,
      new BatchPlaces(space, entries),
      entries - 1,
      PLAIN_DOORBELL,
      whole,
      (index) => (words[(index << 2) + 2] |= TX_TSTAMP),
    )
    this.transmit = transmit
    this.transmitStamped = transmitStamped
    this.room = loops.room
    this.pending = loops.pending
    this.ring = start
    const counters = new Counters(space, BYTES + 1)
    this.counters = counters
    const { poolShift, size, longest } = memory
    this.begin = () => loops.start(ring, ids, batches, counters.at, entries, poolShift, size.length, longest)
  }

  /** As TxRing.start(). */
  start(tail: Int32Array, tailIndex: number): void {
    this.begin()
    this.ring(tail, tailIndex)
  }

  get packets(): number {
    return this.counters.get(PACKETS)
  }

  get bytes(): number {
    return this.counters.get(BYTES)
  }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each ring, so that V8 knows which instance is called. */
function makeReceive(
  loop: (batch: number, limit: number) => number,
  places: BatchPlaces,
  mask: number,
  plainDoorbell: boolean,
  whole: (n: number) => number,
): {
  receive(batch: Int32Array, limit: number): number
  next(): number
  start(tail: Int32Array, tailIndex: number): void
} {
  /** [0]: next descriptor to look at. */
  const index = new Int32Array(1)
  let tail: Int32Array = new Int32Array(1)
  let tailIndex = 0
  /** The array of the last call, and where it is. */
  let known: Int32Array | null = null
  let place = 0
  const { copy } = places

  function receive(batch: Int32Array, limit: number): number {
    if (batch !== known) {
      known = batch
      place = places.find(batch)
    }
    let most = limit | 0
    if (most !== limit) most = whole(limit)
    const held = batch.length | 0
    if (most > held) most = held
    // One descriptor is never the card's: more than the others it can't have finished.
    if (most > mask) most = mask
    if (place < 0) return receiveCopy(batch, most)
    return finish(loop(place, most))
  }

  function receiveCopy(batch: Int32Array, limit: number): number {
    const count = finish(loop(copy.byteOffset, limit))
    batch.set(copy.subarray(0, count))
    return count
  }

  function finish(result: number): number {
    if (result === 0) return 0
    const at = (index[0] + (result >>> 16)) & mask
    index[0] = at
    if (plainDoorbell) tail[tailIndex] = (at - 1) & mask
    else Atomics.store(tail, tailIndex, (at - 1) & mask)
    return result & 0xffff
  }

  function start(newTail: Int32Array, newTailIndex: number): void {
    tail = newTail
    tailIndex = newTailIndex
    index[0] = 0
    Atomics.store(tail, tailIndex, mask)
  }

  function next(): number {
    return index[0]
  }

  return { receive, next, start }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each ring. */
function makeTransmit(
  loop: (batch: number, count: number) => number,
  places: BatchPlaces,
  mask: number,
  plainDoorbell: boolean,
  whole: (n: number) => number,
  askForStamp: (descriptor: number) => void,
): {
  transmit(batch: Int32Array, from: number, count: number): number
  transmitStamped(batch: Int32Array, from: number): number
  start(tail: Int32Array, tailIndex: number): void
} {
  /** [0]: next descriptor to fill. */
  const index = new Int32Array(1)
  let tail: Int32Array = new Int32Array(1)
  let tailIndex = 0
  let known: Int32Array | null = null
  let place = 0
  const { copy } = places

  function transmit(batch: Int32Array, from: number, count: number): number {
    if (batch !== known) {
      known = batch
      place = places.find(batch)
    }
    let start = from | 0
    if (start !== from) start = whole(from)
    let most = count | 0
    if (most !== count) most = whole(count)
    const held = ((batch.length | 0) - start) | 0
    if (most > held) most = held
    if (start < 0) return 0
    if (place < 0) return transmitCopy(batch, start, most)
    return finish(loop(place + (start << 2), most))
  }

  /** One packet's descriptor is asked for more before the card hears of it. */
  function transmitStamped(batch: Int32Array, from: number): number {
    if (!(from >= 0 && from < batch.length)) return 0
    copy[0] = batch[from]
    const accepted = loop(copy.byteOffset, 1)
    if (accepted > 0) askForStamp(index[0])
    return finish(accepted)
  }

  function transmitCopy(batch: Int32Array, from: number, count: number): number {
    const copied = Math.max(0, Math.min(count, copy.length))
    copy.set(batch.subarray(from, from + copied))
    return finish(loop(copy.byteOffset, copied))
  }

  function finish(accepted: number): number {
    if (accepted === 0) return 0
    const at = (index[0] + accepted) & mask
    index[0] = at
    if (plainDoorbell) tail[tailIndex] = at
    else Atomics.store(tail, tailIndex, at)
    return accepted
  }

  function begin(newTail: Int32Array, newTailIndex: number): void {
    tail = newTail
    tailIndex = newTailIndex
    index[0] = 0
  }

  return { transmit, transmitStamped, start: begin }
}
