/** The half of Intel's drivers in a worker: rings of advanced descriptors, with their tails in a page of registers. */
import { viewOf } from '../../linux/mapping.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { QueueSpec, RxQueue, TxQueue } from '../device.ts'
import type { DriverQueues, QueuePair } from '../queues.ts'
import { DESCRIPTOR_BYTES } from './descriptors.ts'
import { OffloadRxRing } from './offload-rx-ring.ts'
import { OffloadTxRing } from './offload-tx-ring.ts'
import { RxRing } from './rx-ring.ts'
import { StandInCard } from './stand-in.ts'
import { TxRing } from './tx-ring.ts'
import { WasmRxRing } from './wasm-rx-ring.ts'
import { WasmTxRing } from './wasm-tx-ring.ts'

/** Where one ring is. */
export interface RingSpec {
  /** Virtual address of descriptor 0. */
  readonly address: bigint
  readonly entries: number
  /** Virtual address of the 4 KiB page of registers that holds the tail, and the tail's index in it in 32-bit words. */
  readonly tailPage: bigint
  readonly tailIndex: number
}

export interface IntelQueueSpec extends QueueSpec {
  readonly rx: RingSpec
  readonly tx: RingSpec
}

/** Both begin anew with start(): `tail[tailIndex]` is RDT or TDT. */
export interface Startable {
  start(tail: Int32Array, tailIndex: number): void
}

type RingMemory = Pick<RingSpec, 'address' | 'entries'>

/** The rings in the language that suits where `memory` is; those with offloads are in TypeScript always. Received packets get the buffers of `pool`. */
export function makeRings(
  memory: PacketMemory,
  pool: number,
  rx: RingMemory,
  tx: RingMemory,
): { rx: RxQueue & Startable; tx: TxQueue & Startable } {
  const { space, offloads } = memory
  if (offloads !== null) {
    return {
      rx: new OffloadRxRing(memory, offloads, pool, descriptors(rx)),
      tx: new OffloadTxRing(memory, offloads, descriptors(tx)),
    }
  }
  if (space === null) {
    return { rx: new RxRing(memory, pool, descriptors(rx)), tx: new TxRing(memory, descriptors(tx)) }
  }
  return {
    rx: new WasmRxRing(space, memory, pool, space.offsetOf(rx.address), rx.entries),
    tx: new WasmTxRing(space, memory, space.offsetOf(tx.address), tx.entries),
  }
}

function descriptors({ address, entries }: RingMemory): ArrayBuffer {
  return viewOf(address, entries * DESCRIPTOR_BYTES)
}

function tailView(page: bigint): Int32Array {
  return new Int32Array(viewOf(page, 4096))
}

export const intelQueues: DriverQueues<IntelQueueSpec> = {
  attach(spec, memory, pool): QueuePair {
    const { rx, tx } = makeRings(memory, pool, spec.rx, spec.tx)
    return {
      rx,
      tx,
      headerBytes: 0,
      start() {
        rx.start(tailView(spec.rx.tailPage), spec.rx.tailIndex)
        tx.start(tailView(spec.tx.tailPage), spec.tx.tailIndex)
      },
      rehearse() {
        const card = new StandInCard(descriptors(spec.rx), descriptors(spec.tx))
        rx.start(card.tails, 0)
        tx.start(card.tails, 1)
        return card
      },
    }
  },
}
