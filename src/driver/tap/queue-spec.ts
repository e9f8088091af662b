/** What the two halves of the driver tell each other. */
import type { RingPlace } from '../../linux/io-uring.ts'
import type { QueueSpec } from '../device.ts'

export interface TapQueueSpec extends QueueSpec {
  readonly driver: 'tap'
  /** Of this queue, non-blocking. */
  readonly fd: number
  /** null: there is no io_uring here, each frame takes a system call. */
  readonly ring: RingPlace | null
  /** Virtual address of queueBytes() bytes in the arena, see layout.ts. */
  readonly memory: bigint
  /** What the kernel takes joined. */
  readonly joins: { readonly tcp: boolean; readonly udp: boolean }
  /** Packets that transmit() takes at most. */
  readonly entries: number
}
