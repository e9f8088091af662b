/** The ring of tx-ring.ts with its loops in WebAssembly (wasm/tx.ts). */
import type { PacketMemory } from '../../memory/packets.ts'
import { whole } from '../../memory/whole.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'
import { specialise } from '../../specialise.ts'
import { BatchPlaces } from '../batch-places.ts'
import type { Pass, TxQueue } from '../device.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import type { Recipe } from '../recipe.ts'
import { BYTES, PACKETS } from './counters.ts'
import { TX_TSTAMP } from './descriptors.ts'
import { Counters } from './wasm-counters.ts'
import { wasmGenerator } from './wasm-generator.ts'
import { type WasmLoops, wasmLoops } from './wasm-loops.ts'
import { enlist, wasmMover } from './wasm-mover.ts'
import { wasmPorts } from './wasm-ports.ts'
import { RING_COUNTERS, RING_INDEX, RING_STATE } from './wasm-state.ts'

export class WasmTxRing implements TxQueue {
  readonly transmit: (batch: Int32Array, from: number, count: number) => number
  readonly transmitStamped: (batch: Int32Array, from: number) => number
  readonly room: () => number
  readonly pending: () => number
  readonly mover: (passes: readonly Pass[]) => (() => number) | null
  readonly wasmPorts: NonNullable<TxQueue['wasmPorts']>
  readonly generator: (recipe: Recipe) => ((wanted: number) => number) | null
  private readonly counters: Counters
  private readonly begin: () => void
  private readonly ring: (tail: Int32Array, tailIndex: number) => void

  /** `ring`: offset of the descriptors in `space`; their number is a power of two. */
  constructor(space: WasmSpace, memory: PacketMemory, ring: number, entries: number) {
    const loops = wasmLoops(space, memory)
    const state = space.take(RING_STATE)
    const ids = space.take(entries * 2)
    const batches = space.take(entries * 4)
    const words = new Uint32Array(space.buffer, ring, entries * 4)
    const make = specialise(makeTransmit)
    const { transmit, transmitStamped, room, pending, announce, start } = make(
      loops,
      state,
      new Int32Array(space.buffer, state + RING_INDEX * 4, 1),
      new BatchPlaces(space, entries),
      PLAIN_DOORBELL,
      whole,
      (index) => (words[(index << 2) + 2] |= TX_TSTAMP),
    )
    this.transmit = transmit
    this.transmitStamped = transmitStamped
    this.room = room
    this.pending = pending
    this.mover = (passes) => wasmMover(space, loops, passes)
    this.wasmPorts = (ports) => wasmPorts(space, loops, ports)
    this.generator = (recipe) => wasmGenerator(space, memory, { loops, state, announce }, recipe)
    enlist(this, { loops, state, entries, announce })
    this.ring = start
    this.counters = new Counters(space, state + RING_COUNTERS, BYTES + 1)
    const { poolShift, size, longest } = memory
    this.begin = () => loops.startTx(state, ring, ids, batches, entries, poolShift, size.length, longest)
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
/** Specialised for each ring. `index`: [0] is the next descriptor to fill. */
function makeTransmit(
  loops: WasmLoops,
  ring: number,
  index: Int32Array,
  places: BatchPlaces,
  plainDoorbell: boolean,
  whole: (n: number) => number,
  askForStamp: (descriptor: number) => void,
): Pick<TxQueue, 'transmit' | 'room' | 'pending'> & {
  transmitStamped(batch: Int32Array, from: number): number
  announce(): void
  start(tail: Int32Array, tailIndex: number): void
} {
  let tail: Int32Array = new Int32Array(1)
  let tailIndex = 0
  let known: Int32Array | null = null
  let place = 0
  const { copy } = places
  const loop = loops.transmit
  const free = loops.room
  const wait = loops.pending

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
    return finish(loop(ring, place + (start << 2), most))
  }

  /** One packet's descriptor is asked for more before the card hears of it. */
  function transmitStamped(batch: Int32Array, from: number): number {
    if (!(from >= 0 && from < batch.length)) return 0
    copy[0] = batch[from]
    const descriptor = index[0]
    const accepted = loop(ring, copy.byteOffset, 1)
    if (accepted > 0) askForStamp(descriptor)
    return finish(accepted)
  }

  function transmitCopy(batch: Int32Array, from: number, count: number): number {
    const copied = Math.max(0, Math.min(count, copy.length))
    copy.set(batch.subarray(from, from + copied))
    return finish(loop(ring, copy.byteOffset, copied))
  }

  function finish(accepted: number): number {
    if (accepted !== 0) announce()
    return accepted
  }

  function announce(): void {
    if (plainDoorbell) tail[tailIndex] = index[0]
    else Atomics.store(tail, tailIndex, index[0])
  }

  function begin(newTail: Int32Array, newTailIndex: number): void {
    tail = newTail
    tailIndex = newTailIndex
  }

  return {
    transmit,
    transmitStamped,
    room: () => free(ring),
    pending: () => wait(ring),
    announce,
    start: begin,
  }
}
