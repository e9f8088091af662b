/** Counters of a queue, by number. Exact doubles in memory that both halves of the driver see, written by the worker only. */
export const RX_PACKETS = 0
export const RX_BYTES = 1
/** Larger than a buffer. */
export const FRAGMENTS = 2
/** What the kernel says of the frame doesn't fit it. */
export const BAD_LENGTH = 3
/** Read from the kernel when untaken() was last asked, and not taken out yet. */
export const RX_UNTAKEN = 4
/** Given to the kernel, … */
export const TX_PACKETS = 5
export const TX_BYTES = 6
/** … of these, taken by it, … */
export const TX_DONE_PACKETS = 7
export const TX_DONE_BYTES = 8
/** … and refused: the interface is down. */
export const TX_REFUSED = 9
/** Written by the main thread: 1 while packets may come in. */
export const RECEIVING = 10
/** Of the frames that were dropped here, and of those not taken out. */
export const RX_DROPPED_BYTES = 11
export const RX_UNTAKEN_BYTES = 12
export const COUNTERS = 16
