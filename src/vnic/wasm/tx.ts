/** Frames out of transmit descriptors; the algorithm is explained in ../model/tx-queue.ts. */
import { DD, PAYLEN_SHIFT, RS, SIMPLE, SIMPLE_MASK } from '../model/tx-descriptor'
import { countAll, countGroup, countSizes } from './sums'

/** What gather() notes of a frame. RS is a bit of the descriptor. */
const GROUP: u8 = 1
const REPORT: u8 = 2
const REPORT_SHIFT = 26

/**
 * Collects frames that are one descriptor each and ask for nothing, from `descriptor` on: up to `count`, or the first that
 * is something else. Addresses as in put(). `starts` gets what finish() needs: whether a frame goes to a group, by its
 * first byte, and so the CPU waits for the frames of the whole burst at once, where otherwise each would make it wait; and whether
 * its descriptor is to be reported. Everything is read once, as the host may change it meanwhile.
 */
export function gather(
  descriptor: usize,
  count: i32,
  base: f64,
  first: i32,
  end: i32,
  shortest: i32,
  longest: i32,
  offsets: usize,
  lengths: usize,
  starts: usize,
): i32 {
  const origin = <u64>(<i64>base + <i64>first)
  const size = end - first
  let found: i32 = 0
  for (; found < count; found++, descriptor += 16) {
    const command = load<u32>(descriptor, 8)
    const length = <i32>(command & 0xffff)
    const place = load<u64>(descriptor) - origin
    if (
      (command & SIMPLE_MASK) !== SIMPLE ||
      load<u32>(descriptor, 12) !== (<u32>length) << PAYLEN_SHIFT ||
      length < shortest ||
      length > longest ||
      length > size ||
      place > <u64>(size - length)
    )
      break
    const offset = first + <i32>place
    store<i32>(offsets, offset)
    store<i32>(lengths, length)
    store<u8>(starts, (load<u8>(<usize>offset) & GROUP) | (<u8>((command & RS) >> REPORT_SHIFT)))
    offsets += 4
    lengths += 4
    starts++
  }
  return found
}

/** Counts `count` frames of those gathered from `descriptor` on, and reports those that ask for it. Returns 1 if one does. */
export function finish(
  descriptor: usize,
  count: i32,
  offsets: usize,
  lengths: usize,
  starts: usize,
  sums: usize,
): i32 {
  let bytes: i32 = 0
  let reported: i32 = 0
  let size: i32 = 0
  let alike: i32 = 0
  for (let i: usize = 0; i < <usize>count; i++, descriptor += 16) {
    const length = load<i32>(lengths + (i << 2))
    bytes += length
    if (length !== size) {
      countSizes(sums, size, alike)
      size = length
      alike = 0
    }
    alike++
    const start = load<u8>(starts + i)
    if (start === 0) continue
    if ((start & GROUP) !== 0) countGroup(sums, load<u32>(offsets + (i << 2)))
    if ((start & REPORT) === 0) continue
    atomic.store<u32>(descriptor + 12, DD)
    reported = 1
  }
  countSizes(sums, size, alike)
  countAll(sums, count, bytes)
  return reported
}
