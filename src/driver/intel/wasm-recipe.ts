/** What JavaScript knows of recipes in a WebAssembly memory. Also read by the AssemblyScript compiler. */

/** Packets that are made at a time: there is room for so many sums. */
export const CHUNK = 64
/** How fields go together. */
export const ORDER_TURN = 0
export const ORDER_PRODUCT = 1
export const ORDER_RANDOM = 2
