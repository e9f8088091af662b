/** The half of the virtio driver in a worker. */
import { viewOf } from '../../linux/mapping.ts'
import { pwrite, signalEventFd } from '../../linux/file.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { RxQueue, TxQueue } from '../device.ts'
import { PLAIN_DOORBELL } from '../doorbell.ts'
import type { DriverQueues, QueuePair } from '../queues.ts'
import { packedLayout, splitLayout } from './layout.ts'
import { packedReceive } from './packed-rx.ts'
import { packedTransmit } from './packed-tx.ts'
import { PackedSide } from './packed-side.ts'
import * as COUNTER from './counters.ts'
import type { VirtioQueueSpec, VirtqueueSpec } from './queue-spec.ts'
import type { ReceiveLoops, RingParts, TransmitLoops } from './ring-parts.ts'
import { splitReceive } from './split-rx.ts'
import { splitTransmit } from './split-tx.ts'
import { wasmSplitReceive, wasmSplitTransmit } from './split-wasm.ts'
import { SplitSide } from './split-side.ts'
import { VirtioStandIn } from './stand-in.ts'

class VirtioRx implements RxQueue {
  readonly receive: (batch: Int32Array, limit: number) => number
  readonly untaken: () => number
  private readonly counters: Float64Array

  constructor(loops: ReceiveLoops, counters: Float64Array) {
    this.receive = loops.receive
    this.untaken = loops.untaken
    this.counters = counters
  }

  get packets(): number {
    return this.counters[COUNTER.RX_PACKETS]
  }

  get bytes(): number {
    return this.counters[COUNTER.RX_BYTES]
  }

  get poolEmpty(): number {
    return this.counters[COUNTER.POOL_EMPTY]
  }

  /** Packets, not their parts. */
  get fragments(): number {
    return this.counters[COUNTER.FRAGMENTS]
  }

  get badLength(): number {
    return this.counters[COUNTER.BAD_LENGTH]
  }
}

class VirtioTx implements TxQueue {
  readonly transmit: (batch: Int32Array, from: number, count: number) => number
  readonly room: () => number
  readonly pending: () => number
  private readonly counters: Float64Array

  constructor(loops: TransmitLoops, counters: Float64Array) {
    this.transmit = loops.transmit
    this.room = loops.room
    this.pending = loops.pending
    this.counters = counters
  }

  get packets(): number {
    return this.counters[COUNTER.TX_PACKETS]
  }

  get bytes(): number {
    return this.counters[COUNTER.TX_BYTES]
  }
}

export const virtioQueues: DriverQueues<VirtioQueueSpec> = {
  attach(spec, memory, pool): QueuePair {
    const counters = new Float64Array(viewOf(spec.counters, COUNTER.COUNTERS * 8))
    const heads = headsOf(memory, spec.shape.headerBytes)
    const partsOf = (queue: VirtqueueSpec, interrupts: boolean): RingParts => ({
      ...spec.shape,
      ring: viewOf(queue.address, bytesOf(queue.entries, spec.shape.packed)),
      entries: queue.entries,
      slots: queue.slots,
      heads,
      counters,
      interrupts,
    })
    const rxParts = partsOf(spec.rx, spec.interrupt !== null)
    const txParts = partsOf(spec.tx, false)
    const [receive, transmit] = makeLoops(spec, memory, pool, rxParts, txParts)
    return {
      rx: new VirtioRx(receive, counters),
      tx: new VirtioTx(transmit, counters),
      headerBytes: spec.shape.headerBytes,
      start() {
        counters.fill(0)
        receive.start(kickOf(spec.rx))
        transmit.start(kickOf(spec.tx))
      },
      rehearse() {
        counters.fill(0)
        const silent = (): void => undefined
        receive.start(silent)
        transmit.start(silent)
        const Side = spec.shape.packed ? PackedSide : SplitSide
        return new VirtioStandIn(memory, rxParts, new Side(rxParts), new Side(txParts))
      },
    }
  },
}

/** In WebAssembly where `memory` is in one, for the queues that today's devices have; others are worked on in TypeScript. */
function makeLoops(
  { shape, rx, tx, counters }: VirtioQueueSpec,
  memory: PacketMemory,
  pool: number,
  rxParts: RingParts,
  txParts: RingParts,
): [ReceiveLoops, TransmitLoops] {
  const { space } = memory
  if (shape.packed) return [packedReceive(memory, pool, rxParts), packedTransmit(memory, txParts)]
  if (space === null || shape.headerAlone)
    return [splitReceive(memory, pool, rxParts), splitTransmit(memory, txParts)]
  return [
    wasmSplitReceive(space, memory, pool, rxParts, { queue: rx.address, counters }),
    wasmSplitTransmit(space, memory, txParts, { queue: tx.address, counters }),
  ]
}

function bytesOf(entries: number, packed: boolean): number {
  return packed ? packedLayout(entries).bytes : splitLayout(entries).bytes
}

/** PacketMemory.iova, less the header. */
function headsOf({ iova }: PacketMemory, headerBytes: number): Float64Array {
  const heads = new Float64Array(iova.length)
  const from = new Uint32Array(iova.buffer, iova.byteOffset, iova.length * 2)
  const to = new Uint32Array(heads.buffer)
  for (let low = 0; low < from.length; low += 2) {
    to[low] = from[low] - headerBytes
    to[low + 1] = from[low + 1] - (from[low] < headerBytes ? 1 : 0)
  }
  return heads
}

/** Rings the doorbell: a store, or a system call where it is an I/O port. */
function kickOf({ doorbell, queue }: VirtqueueSpec): () => void {
  if (doorbell.kind === 'file') {
    const { fd, offset } = doorbell
    const number = Uint16Array.of(queue)
    return () => void pwrite(fd, number, offset)
  }
  if (doorbell.kind === 'eventfd') {
    const { fd } = doorbell
    return () => signalEventFd(fd)
  }
  const page = new Uint16Array(viewOf(doorbell.page, 4096))
  const at = doorbell.offset >> 1
  if (PLAIN_DOORBELL)
    return () => {
      page[at] = queue
    }
  return () => {
    Atomics.store(page, at, queue)
  }
}
