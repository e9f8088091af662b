/** The counters of a queue that the data path adds to: see ../model/statistics.ts, whose numbers these are. */
let sizeClassAt: usize = 0
let packetsAt: i32 = 0
let bytesAt: i32 = 0
let multicastAt: i32 = 0
let broadcastAt: i32 = 0
let sizesAt: i32 = 0

/** Where each counter is among a queue's, and where the table is that says which counter of sizes a length belongs to. */
export function configureSums(
  sizeClass: usize,
  packets: i32,
  bytes: i32,
  multicast: i32,
  broadcast: i32,
  sizes: i32,
): void {
  sizeClassAt = sizeClass
  packetsAt = packets << 2
  bytesAt = bytes << 2
  multicastAt = multicast << 2
  broadcastAt = broadcast << 2
  sizesAt = sizes << 2
}

function add(counter: usize, amount: i32): void {
  store<i32>(counter, load<i32>(counter) + amount)
}

export function countAll(sums: usize, packets: i32, bytes: i32): void {
  add(sums + packetsAt, packets)
  add(sums + bytesAt, bytes)
}

/** `frames` of one length: mostly there are several in a row, and adding up in memory would make each wait for the one before. */
export function countSizes(sums: usize, length: i32, frames: i32): void {
  if (frames !== 0) add(sums + sizesAt + ((<usize>load<u8>(sizeClassAt + length)) << 2), frames)
}

/** A frame with the group bit set in its destination. */
export function countGroup(sums: usize, frame: usize): void {
  const everyone = load<u32>(frame) === 0xffffffff && load<u16>(frame, 4) === 0xffff
  add(sums + (everyone ? broadcastAt : multicastAt), 1)
}
