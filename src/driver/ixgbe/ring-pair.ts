import { viewOf } from '../../linux/mapping.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { QueueSpec } from '../device.ts'
import { DESCRIPTOR_BYTES } from './descriptors.ts'
import { RxRing } from './rx-ring.ts'
import { TxRing } from './tx-ring.ts'

/** The rings of one queue pair in the thread that works with them. Call start() or rehearse() before anything else. */
export class RingPair {
  readonly rx: RxRing
  readonly tx: TxRing
  /** The descriptors, for whoever plays the card. */
  readonly rxDescriptors: ArrayBuffer
  readonly txDescriptors: ArrayBuffer
  private readonly spec: QueueSpec

  /** Received packets get the buffers of `pool`. */
  constructor(spec: QueueSpec, memory: PacketMemory, pool: number) {
    this.spec = spec
    this.rxDescriptors = viewOf(spec.rx.address, spec.rx.entries * DESCRIPTOR_BYTES)
    this.txDescriptors = viewOf(spec.tx.address, spec.tx.entries * DESCRIPTOR_BYTES)
    this.rx = new RxRing(memory, pool, this.rxDescriptors)
    this.tx = new TxRing(memory, this.txDescriptors)
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
