/** What JavaScript knows of the rings' state in a WebAssembly memory. Also read by the AssemblyScript compiler. */

/** Bytes from a ring's state to its counters, of 64 bits each (counters.ts). */
export const RING_COUNTERS = 64
/** Bytes of both. */
export const RING_STATE = 128
/** Index of the descriptor that is next, as a 32-bit word of the state. */
export const RING_INDEX = 0
