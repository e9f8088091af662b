/**
 * Memory of a queue besides its packets, in the arena, so that both halves of the driver see it and the kernel finds it:
 *
 *     │ counters │ vectors of reads │ vectors of writes │ stage 0 │ stage 1 │ …
 *
 * A read goes into a packet buffer, and what doesn't fit there, as the kernel has left the cutting to us, into a stage:
 *
 *     stage   │ room for what is in the buffer │ rest of the frame … │
 */
import { COUNTERS } from './counters.ts'

/** struct virtio_net_hdr, in front of each frame (virtio 1.2 §5.1.6, without num_buffers). */
export const HEADER_BYTES = 10
/** struct iovec. */
export const VECTOR_BYTES = 16
/** Frames that one system call reads at most. */
export const READS = 32
/** Packets that one system call writes at most. */
export const WRITES = 128

/** IP packets have at most 65535 bytes. One that fills all of this has been cut short by the kernel. */
export const REST_BYTES = 65536 + 256

const COUNTERS_BYTES = COUNTERS * 8
export const READ_VECTORS = COUNTERS_BYTES
export const WRITE_VECTORS = READ_VECTORS + READS * 2 * VECTOR_BYTES
export const STAGES = WRITE_VECTORS + WRITES * VECTOR_BYTES
/** Where the rest of a frame begins in its stage: behind room for all that a packet buffer holds (9000 bytes and headers). */
export const REST = 16384
export const STAGE_BYTES = REST + REST_BYTES

export function queueBytes(): number {
  return STAGES + READS * STAGE_BYTES
}
