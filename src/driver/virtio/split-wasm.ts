/** The loops of split-rx.ts and split-tx.ts in WebAssembly (wasm/split-rx.ts, wasm/split-tx.ts). */
import type { PacketMemory } from '../../memory/packets.ts'
import { FREE_STACK, FREE_TOP } from '../../memory/wasm-layout.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'
import { whole } from '../../memory/whole.ts'
import { specialise } from '../../specialise.ts'
import { BatchPlaces } from '../batch-places.ts'
import { importsOfTransmit } from '../wasm-imports.ts'
import { splitLayout } from './layout.ts'
import type { ReceiveLoops, RingParts, TransmitLoops } from './ring-parts.ts'
import rxCode from './wasm/split-rx.wasm'
import txCode from './wasm/split-tx.wasm'

/** Where a queue and its counters are in the DMA arena. */
export interface Addresses {
  readonly queue: bigint
  readonly counters: bigint
}

interface RxExports {
  start(): void
  receive(batch: number, limit: number): number
  untaken(): number
}

interface TxExports {
  start(): void
  transmit(batch: number, count: number): number
  room(): number
  pending(): number
}

/** What both loops know of their queue: constants of the instance. */
function constantsOf(
  space: WasmSpace,
  memory: PacketMemory,
  { entries, slots, headerBytes, eventIndex }: RingParts,
  { queue, counters }: Addresses,
): Readonly<Record<string, number>> {
  const { available, used } = splitLayout(entries)
  const at = space.offsetOf(queue)
  return {
    descriptorsAt: at,
    availableAt: at + available + 4,
    usedAt: at + used + 4,
    availableEventAt: at + used + 4 + 8 * entries,
    idsAt: space.take(slots * 2),
    countersAt: space.offsetOf(counters),
    packetsAt: memory.u8.byteOffset,
    bufferShift: memory.bufferShift,
    mask: entries - 1,
    slots,
    longest: memory.longest,
    headerBytes,
    eventIndex: Number(eventIndex),
  }
}

/** The header must be in the packet's own descriptor. */
export function wasmSplitReceive(
  space: WasmSpace,
  memory: PacketMemory,
  pool: number,
  parts: RingParts,
  addresses: Addresses,
): ReceiveLoops {
  let kick: () => void = () => undefined
  const { entries, slots, mergeable, interrupts } = parts
  const constants = constantsOf(space, memory, parts, addresses)
  const loops = instantiate(rxCode, space, 'split-rx', {
    ...constants,
    usedEventAt: constants.availableAt + 2 * entries,
    stackAt: FREE_STACK + 2 * (pool << memory.poolShift),
    topAt: FREE_TOP + 4 * pool,
    mergeable: Number(mergeable),
    interrupts: Number(interrupts),
    kick: () => kick(),
  }) as RxExports
  const words = new Uint32Array(parts.ring)
  return {
    receive: specialise(makeReceive)(loops.receive, new BatchPlaces(space, slots), slots, whole),
    untaken: loops.untaken,
    start(ring) {
      kick = ring
      words.fill(0)
      loops.start()
    },
  }
}

/** The header must be in the packet's own descriptor. */
export function wasmSplitTransmit(
  space: WasmSpace,
  memory: PacketMemory,
  parts: RingParts,
  addresses: Addresses,
): TransmitLoops {
  let kick: () => void = () => undefined
  const { poolShift, size } = memory
  const { slots } = parts
  const loops = instantiate(txCode, space, 'split-tx', {
    ...constantsOf(space, memory, parts, addresses),
    slotsAt: space.take(slots * 2),
    poolShift,
    buffers: size.length,
    kick: () => kick(),
    ...importsOfTransmit(memory),
  }) as TxExports
  const words = new Uint32Array(parts.ring)
  return {
    transmit: specialise(makeTransmit)(loops.transmit, new BatchPlaces(space, slots), whole),
    room: loops.room,
    pending: loops.pending,
    start(ring) {
      kick = ring
      words.fill(0)
      loops.start()
    },
  }
}

/** Each queue has an instance of its own, whose globals are the queue's state. `name`: of its file, from which it imports. */
function instantiate(
  code: Uint8Array<ArrayBuffer>,
  { memory }: WasmSpace,
  name: string,
  imports: Readonly<Record<string, unknown>>,
): unknown {
  return new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory }, [name]: imports }).exports
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue, so that V8 knows which instance is called. */
function makeReceive(
  loop: (batch: number, limit: number) => number,
  places: BatchPlaces,
  slots: number,
  whole: (n: number) => number,
): (batch: Int32Array, limit: number) => number {
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
    if (most > slots) most = slots
    return place < 0 ? receiveCopy(batch, most) : loop(place, most)
  }

  function receiveCopy(batch: Int32Array, limit: number): number {
    const count = loop(copy.byteOffset, limit)
    batch.set(copy.subarray(0, count))
    return count
  }

  return receive
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue. */
function makeTransmit(
  loop: (batch: number, count: number) => number,
  places: BatchPlaces,
  whole: (n: number) => number,
): (batch: Int32Array, from: number, count: number) => number {
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
    if (start < 0 || most <= 0) return 0
    return place < 0 ? transmitCopy(batch, start, most) : loop(place + (start << 2), most)
  }

  function transmitCopy(batch: Int32Array, from: number, count: number): number {
    const copied = Math.min(count, copy.length)
    copy.set(batch.subarray(from, from + copied))
    return loop(copy.byteOffset, copied)
  }

  return transmit
}
