/** AssemblyScript: moves of a packet within its buffer by vectors of 16 bytes, and sums on the way. */

/** Up to this many bytes, vectors are faster than the call of memory.copy; towards the beginning, stores are aligned. */
const SHORT_UP: u32 = 256
const SHORT_DOWN: u32 = 1024

/** Moves towards the end by more than 16 bytes: from the back, as both places may overlap. At least 16 bytes. */
export function moveUp(to: usize, from: usize, bytes: u32): void {
  if (bytes > SHORT_UP) return memory.copy(to, from, bytes)
  v128.store(to + bytes - 16, v128.load(from + bytes - 16))
  let left = bytes & ~15
  for (; left >= 64; left -= 64) {
    const a = v128.load(from + left - 16)
    const b = v128.load(from + left - 32)
    const c = v128.load(from + left - 48)
    const d = v128.load(from + left - 64)
    v128.store(to + left - 16, a)
    v128.store(to + left - 32, b)
    v128.store(to + left - 48, c)
    v128.store(to + left - 64, d)
  }
  if ((left & 32) !== 0) {
    const a = v128.load(from + left - 16)
    const b = v128.load(from + left - 32)
    v128.store(to + left - 16, a)
    v128.store(to + left - 32, b)
  }
  if ((left & 16) !== 0) v128.store(to, v128.load(from))
}

/** The same towards the beginning. */
export function moveDown(to: usize, from: usize, bytes: u32): void {
  if (bytes > SHORT_DOWN) return memory.copy(to, from, bytes)
  const last = v128.load(from + bytes - 16)
  const whole = bytes & ~15
  let done: u32 = 0
  for (; done + 64 <= whole; done += 64) {
    const a = v128.load(from + done)
    const b = v128.load(from + done, 16)
    const c = v128.load(from + done, 32)
    const d = v128.load(from + done, 48)
    v128.store(to + done, a)
    v128.store(to + done, b, 16)
    v128.store(to + done, c, 32)
    v128.store(to + done, d, 48)
  }
  if ((whole & 32) !== 0) {
    const a = v128.load(from + done)
    const b = v128.load(from + done, 16)
    v128.store(to + done, a)
    v128.store(to + done, b, 16)
  }
  if ((whole & 16) !== 0) v128.store(to + whole - 16, v128.load(from + whole - 16))
  v128.store(to + bytes - 16, last)
}

/** Adds the 16-bit words of `words` to lanes. Signed ones are what there is an instruction for: each is taken as 0x8000 less. */
function addWords(lanes: v128, words: v128): v128 {
  return i32x4.add(lanes, i32x4.dot_i16x8_s(v128.xor(words, i16x8.splat(-0x8000)), i16x8.splat(1)))
}

/** What `lanes` has of `blocks` times 16 bytes. */
function sumOfLanes(lanes: v128, blocks: u32): u32 {
  return (
    (blocks << 18) +
    i32x4.extract_lane(lanes, 0) +
    i32x4.extract_lane(lanes, 1) +
    i32x4.extract_lane(lanes, 2) +
    i32x4.extract_lane(lanes, 3)
  )
}

/** The last `count` bytes, less than 16, with zeros behind them. */
function lastOf(block: v128, count: u32): v128 {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  return i8x16.swizzle(block, i8x16.add(places, i8x16.splat(<i8>(16 - count))))
}

/** moveUp(), and the sum of what was moved, by 16-bit words as they lie there, of at most 9216 bytes. */
export function moveUpAndSum(to: usize, from: usize, bytes: u32): u32 {
  const last = v128.load(from + bytes - 16)
  v128.store(to + bytes - 16, last)
  let lanes = addWords(i32x4.splat(0), lastOf(last, bytes & 15))
  let others = i32x4.splat(0)
  let left = bytes & ~15
  for (; left >= 64; left -= 64) {
    const a = v128.load(from + left - 16)
    const b = v128.load(from + left - 32)
    const c = v128.load(from + left - 48)
    const d = v128.load(from + left - 64)
    v128.store(to + left - 16, a)
    v128.store(to + left - 32, b)
    v128.store(to + left - 48, c)
    v128.store(to + left - 64, d)
    lanes = addWords(addWords(lanes, a), b)
    others = addWords(addWords(others, c), d)
  }
  for (; left > 0; left -= 16) {
    const block = v128.load(from + left - 16)
    v128.store(to + left - 16, block)
    lanes = addWords(lanes, block)
  }
  return sumOfLanes(i32x4.add(lanes, others), (bytes >>> 4) + 1)
}

export function moveDownAndSum(to: usize, from: usize, bytes: u32): u32 {
  const last = v128.load(from + bytes - 16)
  let lanes = addWords(i32x4.splat(0), lastOf(last, bytes & 15))
  let others = i32x4.splat(0)
  const whole = bytes & ~15
  let done: u32 = 0
  for (; done + 64 <= whole; done += 64) {
    const a = v128.load(from + done)
    const b = v128.load(from + done, 16)
    const c = v128.load(from + done, 32)
    const d = v128.load(from + done, 48)
    v128.store(to + done, a)
    v128.store(to + done, b, 16)
    v128.store(to + done, c, 32)
    v128.store(to + done, d, 48)
    lanes = addWords(addWords(lanes, a), b)
    others = addWords(addWords(others, c), d)
  }
  for (; done < whole; done += 16) {
    const block = v128.load(from + done)
    v128.store(to + done, block)
    lanes = addWords(lanes, block)
  }
  v128.store(to + bytes - 16, last)
  return sumOfLanes(i32x4.add(lanes, others), (bytes >>> 4) + 1)
}
