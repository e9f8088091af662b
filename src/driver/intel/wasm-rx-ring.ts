/** The ring of rx-ring.ts with its loops in WebAssembly (wasm/rx.ts). */
import type { PacketMemory } from '../../memory/packets.ts'
import { whole } from '../../memory/whole.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'
import { specialise } from '../../specialise.ts'
import { BatchPlaces } from '../batch-places.ts'
import type { RxQueue } from '../device.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import { BAD_LENGTH, BYTES, FRAGMENTS, PACKETS, POOL_EMPTY } from './counters.ts'
import { countPackets } from './rx-ring.ts'
import { Counters } from './wasm-counters.ts'
import { wasmLoops } from './wasm-loops.ts'
import { enlist } from './wasm-mover.ts'
import { RING_COUNTERS, RING_INDEX, RING_STATE } from './wasm-state.ts'

export class WasmRxRing implements RxQueue {
  readonly receive: (batch: Int32Array, limit: number) => number
  readonly untaken: () => number
  private readonly counters: Counters
  private readonly begin: () => void
  private readonly ring: (tail: Int32Array, tailIndex: number) => void

  /** `ring`: offset of the descriptors in `space`; their number is a power of two. */
  constructor(space: WasmSpace, memory: PacketMemory, pool: number, ring: number, entries: number) {
    const loops = wasmLoops(space, memory)
    const state = space.take(RING_STATE)
    const ids = space.take(entries * 2)
    const index = new Int32Array(space.buffer, state + RING_INDEX * 4, 1)
    const make = specialise(makeReceive)
    const { receive, announce, start } = make(
      loops.receive,
      state,
      index,
      new BatchPlaces(space, entries),
      entries - 1,
      PLAIN_DOORBELL,
      whole,
    )
    this.receive = receive
    enlist(this, { loops, state, entries, announce })
    const words = new Uint32Array(space.buffer, ring, entries * 4)
    this.untaken = () => countPackets(words, index[0])
    this.ring = start
    this.counters = new Counters(space, state + RING_COUNTERS, BAD_LENGTH + 1)
    const { poolShift, longest } = memory
    this.begin = () => loops.startRx(state, ring, ids, entries, pool, pool << poolShift, longest)
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

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each ring, so that V8 knows where its state is. `index`: [0] is the next descriptor to look at. */
function makeReceive(
  loop: (ring: number, batch: number, limit: number) => number,
  ring: number,
  index: Int32Array,
  places: BatchPlaces,
  mask: number,
  plainDoorbell: boolean,
  whole: (n: number) => number,
): {
  receive(batch: Int32Array, limit: number): number
  announce(): void
  start(tail: Int32Array, tailIndex: number): void
} {
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
    return finish(loop(ring, place, most))
  }

  function receiveCopy(batch: Int32Array, limit: number): number {
    const count = finish(loop(ring, copy.byteOffset, limit))
    batch.set(copy.subarray(0, count))
    return count
  }

  function finish(result: number): number {
    if (result === 0) return 0
    announce()
    return result & 0xffff
  }

  function announce(): void {
    if (plainDoorbell) tail[tailIndex] = (index[0] - 1) & mask
    else Atomics.store(tail, tailIndex, (index[0] - 1) & mask)
  }

  function start(newTail: Int32Array, newTailIndex: number): void {
    tail = newTail
    tailIndex = newTailIndex
    Atomics.store(tail, tailIndex, mask)
  }

  return { receive, announce, start }
}
