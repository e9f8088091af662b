/**
 * Where the tables of packets.ts stand in a WebAssembly memory, in bytes from its start. Constants, so that they
 * become part of the machine code of the loops in driver/intel/wasm; also read by the AssemblyScript compiler.
 */

/** Room for as many ids as 16 bits can tell apart. Pages that are never touched cost nothing. */
export const MAX_IDS = 65536

export const IOVA = 0x10000
export const SIZE = 0x90540
export const FREE_STACK = 0xb0a80
export const FREE_TOP = 0xd0f80
/** From here on memory is given away as needed: rings' tables of ids, batches. */
export const FIRST_FREE = 0xe0000
/** Up to here. */
export const TABLES_END = 0x200000
