/** Counters of a queue pair, by number. Exact doubles, written by the worker only. Also read by the AssemblyScript compiler. */
export const RX_PACKETS = 0
export const RX_BYTES = 1
export const POOL_EMPTY = 2
export const FRAGMENTS = 3
export const BAD_LENGTH = 4
/** Left in the ring when untaken() was last asked, 0 once more have been taken out. */
export const RX_UNTAKEN = 5
/** Given to the device, … */
export const TX_PACKETS = 6
export const TX_BYTES = 7
/** … and of these, given back by it: they have been sent. */
export const TX_DONE_PACKETS = 8
export const TX_DONE_BYTES = 9
export const COUNTERS = 10
