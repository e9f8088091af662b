/** What the words of a queue say. Also read by the AssemblyScript compiler. */

/** Bytes of a descriptor: address 8, length 4, flags 2 and next 2 (split, §2.7.5), or id 2 and flags 2 (packed, §2.8.13). */
export const DESCRIPTOR_BYTES = 16

/** Flags of a descriptor. */
export const NEXT = 1
/** The device writes to it. */
export const WRITE = 2

/** Available ring, flags: no interrupts (§2.7.6). Used ring, flags: no doorbells (§2.7.8). */
export const NO_INTERRUPT = 1
export const NO_NOTIFY = 1

/** Flags of a packed descriptor: who it belongs to (§2.8.1). */
export const AVAIL = 1 << 7
export const USED = 1 << 15

/** Flags of an event suppression structure (§2.8.14). The third, a certain descriptor, comes with EVENT_IDX only. */
export const EVENTS_ENABLE = 0
export const EVENTS_DISABLE = 1

/** Shortest packet that is sent as it is; others are filled up (TxQueue.transmit). Devices have no rule for that: as on our other cards. */
export const SHORTEST = 17
