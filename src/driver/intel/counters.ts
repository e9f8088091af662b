/** A ring's counters by number; PACKETS and BYTES are the first two (wasm/tally.ts). Also read by the AssemblyScript compiler. */
export const PACKETS = 0
export const BYTES = 1
export const POOL_EMPTY = 2
export const FRAGMENTS = 3
export const BAD_LENGTH = 4
