/** What the two halves of the driver tell each other. */
import type { Doorbell } from '../../pci/transport.ts'
import type { QueueSpec } from '../device.ts'

export interface VirtioQueueSpec extends QueueSpec {
  readonly driver: 'virtio'
  readonly shape: QueueShape
  readonly rx: VirtqueueSpec
  readonly tx: VirtqueueSpec
  /** Virtual address of COUNTERS doubles in DMA memory, which both halves see. */
  readonly counters: bigint
}

/** What was negotiated, as far as rings are concerned. */
export interface QueueShape {
  readonly packed: boolean
  /** Bytes of the header in front of each packet (virtio 1.2 §5.1.6). */
  readonly headerBytes: 10 | 12
  /** The header has a descriptor of its own. */
  readonly headerAlone: boolean
  /** A received packet's header says in how many buffers it is. */
  readonly mergeable: boolean
  /** Both sides say from which buffer on they want to be told. */
  readonly eventIndex: boolean
}

export interface VirtqueueSpec {
  /** Virtual address, and the number of descriptors: a power of two. */
  readonly address: bigint
  readonly entries: number
  /** Packets that may be in it at most, a power of two: as many as descriptors, or fewer. */
  readonly slots: number
  /** Its number, which is written to its doorbell. */
  readonly queue: number
  readonly doorbell: Doorbell
}
