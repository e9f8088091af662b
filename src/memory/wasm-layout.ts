/**
 * Where the tables of packets.ts stand in a WebAssembly memory, in bytes from its start. Constants, so that they
 * become part of the machine code of the loops in driver/intel/wasm; also read by the AssemblyScript compiler.
 */

/** Room for as many ids as 16 bits can tell apart. Pages that are never touched cost nothing. */
export const MAX_IDS = 65536

/**
 * Between two tables. The loops use the entries of the same ids in all of them; were the tables whole pages apart, these
 * entries would compete for the same sets of the CPU's first cache, as those of packets would (packets.ts). A number of cache
 * lines that has no factor in common with those of a page.
 */
const STAGGER = 21 * 64

export const IOVA = 0x10000
export const SIZE = IOVA + MAX_IDS * 8 + STAGGER
export const FREE_STACK = SIZE + MAX_IDS * 2 + STAGGER
export const FREE_TOP = FREE_STACK + MAX_IDS * 2 + STAGGER
/** From here on memory is given away as needed: rings' tables of ids, batches. */
export const FIRST_FREE = 0xe0000
/** Up to here. */
export const TABLES_END = 0x200000
