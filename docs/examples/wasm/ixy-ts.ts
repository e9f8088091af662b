/**
 * AssemblyScript: what a step in WebAssembly may import from ixy-ts; the name of this file is that of the module to import from. Ports and
 * pools are numbers, as in make().
 */

/** Puts the ids of up to `limit` packets into the 32-bit words at `batch`; returns how many. They are yours until you transmit or free them. */
export declare function receive(port: i32, batch: usize, limit: i32): i32

/** How many packets transmit() would take now. */
export declare function room(port: i32): i32

/** Hands `count` packets to the card, as far as there is room; returns how many. The rest stays yours. */
export declare function transmit(port: i32, batch: usize, count: i32): i32

/** Gives packets back. */
export declare function free(batch: usize, count: i32): void

/** Takes up to `count` buffers out of a pool: `firstPool` and on are the app's own. Returns how many. */
export declare function allocate(pool: i32, batch: usize, count: i32): i32

/** How many ports there are, the number of the app's first pool (-1: it has none), and packets per batch. */
export declare const ports: i32
export declare const firstPool: i32
export declare const batchSize: i32

declare const packets: usize
declare const bufferShift: usize
declare const sizes: usize
declare const counters: usize

/** Address of the first byte of packet `id`. */
export function dataOf(id: usize): usize {
  return packets + (id << bufferShift) + ((id & 7) << 6)
}

/** How many bytes it has. */
export function sizeOf(id: usize): u32 {
  return load<u16>(sizes + (id << 1))
}

export function setSize(id: usize, bytes: u32): void {
  store<u16>(sizes + (id << 1), bytes)
}

/** Adds to a counter of App.counters. */
export function count(counter: usize, amount: i32): void {
  const at = counters + (counter << 3)
  store<f64>(at, load<f64>(at) + amount)
}
