/** What differs from frame to frame of a generator, explained in ../wires/gen.ts. */
import * as F from '../wires/test-frame-layout'

/**
 * Finishes `count` prepared frames. Their flows and sizes follow each other in turn, from `flow` and `size` on; `sequence` is
 * the first one's number. Per flow, `ports` and `owners` have a word of the frame; per size and flow, `checks` has the check
 * with sequence number 0. Returns the flow that is next.
 */
export function fill(
  offsets: usize,
  count: i32,
  flow: i32,
  flows: i32,
  size: i32,
  sizes: i32,
  sequence: u32,
  ports: usize,
  owners: usize,
  checks: usize,
): i32 {
  for (const end = offsets + ((<usize>count) << 2); offsets < end; offsets += 4) {
    const frame: usize = load<u32>(offsets)
    const at = (<usize>flow) << 2
    const check = load<u32>(checks + ((<usize>(size * flows)) << 2) + at)
    store<u32>(frame, load<u32>(ports + at), F.SOURCE_PORT_WORD * 4)
    store<u32>(frame, load<u32>(owners + at), F.OWNER_WORD * 4)
    store<u32>(frame, check + sequence * F.SEQUENCE_WEIGHT, F.CHECK_WORD * 4)
    store<u32>(frame, sequence, F.SEQUENCE_WORD * 4)
    sequence++
    if (++flow === flows) flow = 0
    if (++size === sizes) size = 0
  }
  return flow
}
