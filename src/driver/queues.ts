/**
 * What a driver is to a worker thread: it makes the rings of a queue pair usable there. One object per driver, in
 * queue-registry.ts; apart from driver.ts, so that workers load nothing of the control plane.
 */
import type { PacketMemory } from '../memory/packets.ts'
import type { QueueSpec, RxQueue, TxQueue } from './device.ts'

/** Plays the device during a rehearsal, between two polls of the app. */
export interface StandIn {
  /** Sends what is in the transmit ring. */
  transmit(): void
  /** Lets up to `packets` packets come in, as far as descriptors are armed. */
  receive(packets: number): void
}

/** The rings of one queue pair in the thread that works with them. Call start() or rehearse() before anything else. */
export interface QueuePair {
  readonly rx: RxQueue
  readonly tx: TxQueue
  /** Bytes directly in front of each packet that driver and device write to. */
  readonly headerBytes: number
  /** What comes in may be longer than what becomes of it: a packet's buffer may have been written to up to its end. Default false. */
  readonly fillsBuffers?: boolean
  /** Connects the rings to the device and arms the receive ring. All buffers of its pool must be free. */
  start(): void
  /**
   * Like start(), but the device hears nothing of it: to it the rings are empty and it leaves their memory alone. What is
   * returned plays it meanwhile.
   */
  rehearse(): StandIn
}

export interface DriverQueues<Spec extends QueueSpec = QueueSpec> {
  /** Received packets get the buffers of `pool`. */
  attach(spec: Spec, memory: PacketMemory, pool: number): QueuePair
}
