/** A virtio network card's registers, whichever generation of them it has. Control plane only. */
import type { Doorbell } from '../../pci/transport.ts'
import type { Features } from './features.ts'
import type { VirtioRegister } from './registers.ts'

/** Where the parts of a queue are, as the device sees them (virtio 1.2 §2.7, §2.8). */
export interface QueueAddresses {
  readonly descriptors: number
  /** Available ring, or the driver's event suppression. */
  readonly driver: number
  /** Used ring, or the device's event suppression. */
  readonly device: number
}

export interface VirtioFunction {
  /** Registers of before virtio 1.0: split rings only, whose size the device dictates and whose parts lie in one piece. */
  readonly legacy: boolean
  status: number
  offered(): Features
  accept(features: Features): void
  /** A register of NET. */
  net(register: VirtioRegister): number
  /** Changes when what net() reads may have. */
  generation(): number
  /** Descriptors that the queue may have at most, on a legacy function exactly; 0: there is no such queue. */
  queueSize(queue: number): number
  /**
   * Tells the device of a queue. Addresses below 2^52; `vector` as in the registers. Throws IXY_ERR_REGISTER if the device can't
   * have it like that.
   */
  startQueue(queue: number, size: number, addresses: QueueAddresses, vector: number): void
  /** The queue's doorbell, for workers: its number is written to it, in 16 bits. */
  doorbell(queue: number): Doorbell | null
  /** Rings it from here. */
  notify(queue: number): void
}

/** An address as the two halves that registers take. */
export function halves(address: number): readonly [low: number, high: number] {
  return [address >>> 0, Math.floor(address / 2 ** 32)]
}
