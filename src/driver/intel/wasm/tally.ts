/** AssemblyScript, compiled to WebAssembly. */
import { RING_COUNTERS } from '../wasm-state'

/** Adds to the packets and bytes of the ring whose state is at `ring`: the first two counters (../counters.ts), of 64 bits each. */
export function tally(ring: usize, packets: i32, bytes: u32): void {
  const more = i64x2.replace_lane(i64x2.splat(packets), 1, bytes)
  v128.store(ring, i64x2.add(v128.load(ring, RING_COUNTERS), more), RING_COUNTERS)
}
