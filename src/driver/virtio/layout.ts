/** How queues lie in memory, and what their descriptors say. */

/** Legacy queues lie in pages of this size, which are all that their device is told of (virtio 1.2 §2.7.2). */
export const QUEUE_PAGE = 4096

/** Bytes of a descriptor: address 8, length 4, flags 2 and next 2 (split, §2.7.5), or id 2 and flags 2 (packed, §2.8.13). */
export const DESCRIPTOR_BYTES = 16

/** Flags of a descriptor. */
export const NEXT = 1
/** The device writes to it. */
export const WRITE = 2

/** Available ring, flags: no interrupts (§2.7.6). Used ring, flags: no doorbells (§2.7.8). */
export const NO_INTERRUPT = 1
export const NO_NOTIFY = 1

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

/** Flags of a packed descriptor: who it belongs to (§2.8.1). */
export const AVAIL = 1 << 7
export const USED = 1 << 15

/** Flags of an event suppression structure (§2.8.14). */
export const EVENTS_ENABLE = 0
export const EVENTS_DISABLE = 1
/** From a certain descriptor on. */
export const EVENTS_DESCRIPTOR = 2

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

/** Shortest packet that is sent as it is; others are filled up (TxQueue.transmit). Devices have no rule for that: as on our other cards. */
export const SHORTEST = 17
