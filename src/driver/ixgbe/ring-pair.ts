import { viewOf } from '../../linux/mapping.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { QueueSpec, RingSpec, RxQueue, TxQueue } from '../device.ts'
import { DESCRIPTOR_BYTES } from './descriptors.ts'
import { RxRing } from './rx-ring.ts'
import { TxRing } from './tx-ring.ts'
import { WasmRxRing, WasmTxRing } from './wasm-rings.ts'

/** Both begin anew with start(): `tail[tailIndex]` is RDT or TDT. */
export interface Startable {
  start(tail: Int32Array, tailIndex: number): void
}

type RingMemory = Pick<RingSpec, 'address' | 'entries'>

/** The rings in the language that suits where `memory` is. Received packets get the buffers of `pool`. */
export function makeRings(
  memory: PacketMemory,
  pool: number,
  rx: RingMemory,
  tx: RingMemory,
): { rx: RxQueue & Startable; tx: TxQueue & Startable } {
  const { space } = memory
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

/** The rings of one queue pair in the thread that works with them. Call start() or rehearse() before anything else. */
export class RingPair {
  readonly rx: RxQueue & Startable
  readonly tx: TxQueue & Startable
  /** The descriptors, for whoever plays the card. */
  readonly rxDescriptors: ArrayBuffer
  readonly txDescriptors: ArrayBuffer
  private readonly spec: QueueSpec

  /** Received packets get the buffers of `pool`. */
  constructor(spec: QueueSpec, memory: PacketMemory, pool: number) {
    this.spec = spec
    this.rxDescriptors = descriptors(spec.rx)
    this.txDescriptors = descriptors(spec.tx)
    const { rx, tx } = makeRings(memory, pool, spec.rx, spec.tx)
    this.rx = rx
    this.tx = tx
  }

  /** Connects the rings to the card and arms the receive ring. All buffers must be free. */
  start(): void {
    const { rx, tx } = this.spec
    this.rx.start(tailView(rx.tailPage), rx.tailIndex)
    this.tx.start(tailView(tx.tailPage), tx.tailIndex)
  }

  /**
   * Like start(), but the card hears nothing of it: to it the rings are empty and it leaves their memory alone.
   * `tails`: what stands for RDT and TDT meanwhile.
   */
  rehearse(tails: Int32Array): void {
    this.rx.start(tails, 0)
    this.tx.start(tails, 1)
  }
}

function tailView(page: bigint): Int32Array {
  return new Int32Array(viewOf(page, 4096))
}
