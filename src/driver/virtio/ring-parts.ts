/** What the loops of a queue are made of, and what they are. */

export interface RingParts {
  /** The queue's memory. */
  readonly ring: ArrayBuffer
  /** Descriptors, and packets that may be in the queue: powers of two. */
  readonly entries: number
  readonly slots: number
  /** For each buffer id, the address of the header in front of the packet, as a bit pattern (PacketMemory.iova). */
  readonly heads: Float64Array
  readonly counters: Float64Array
  readonly headerBytes: number
  readonly headerAlone: boolean
  readonly mergeable: boolean
  readonly eventIndex: boolean
  /** The device is to interrupt when it has used a buffer. */
  readonly interrupts: boolean
}

export interface ReceiveLoops {
  receive(batch: Int32Array, limit: number): number
  untaken(): number
  /** Begins anew, all slots armed with fresh buffers. `kick` rings the doorbell; this doesn't. */
  start(kick: () => void): void
}

export interface TransmitLoops {
  transmit(batch: Int32Array, from: number, count: number): number
  room(): number
  pending(): number
  /** Begins anew, empty. */
  start(kick: () => void): void
}
