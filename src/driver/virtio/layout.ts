/** How queues lie in memory. */
import { DESCRIPTOR_BYTES } from './queue-words.ts'

/** Legacy queues lie in pages of this size, which are all that their device is told of (virtio 1.2 §2.7.2). */
export const QUEUE_PAGE = 4096

/** Places in a split queue of `entries` descriptors, bytes from its start. */
export interface SplitLayout {
  readonly entries: number
  /** Available ring: flags 2, idx 2, 2 for each entry, used_event 2 (§2.7.6). */
  readonly available: number
  /** Used ring: flags 2, idx 2, id 4 and length 4 for each entry, avail_event 2 (§2.7.8). */
  readonly used: number
  /** All of it, a multiple of 8. */
  readonly bytes: number
}

/** As legacy devices must have it (§2.7.2); others leave the places to the driver. */
export function splitLayout(entries: number): SplitLayout {
  const available = DESCRIPTOR_BYTES * entries
  const used = roundUp(available + 6 + 2 * entries, QUEUE_PAGE)
  return { entries, available, used, bytes: roundUp(used + 6 + 8 * entries, 8) }
}

/** Places in a packed queue: two structures of off_wrap 2 and flags 2 behind the descriptors. */
export interface PackedLayout {
  readonly entries: number
  readonly driver: number
  readonly device: number
  readonly bytes: number
}

export function packedLayout(entries: number): PackedLayout {
  const driver = DESCRIPTOR_BYTES * entries
  return { entries, driver, device: driver + 4, bytes: driver + 8 }
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}
