/**
 * AssemblyScript: moves of a packet within its buffer by vectors of 16 bytes, and sums on the way. What has type parameters is
 * compiled once for each of their values.
 */
/** Which way: towards the end of memory or its beginning. */
export class Up {}
export class Down {}

/** Whether what is moved is summed up. */
export class Summed {}
export class Unsummed {}

/** From this many bytes on the machine's own move is faster than vectors, for all its call. */
const LONG: u32 = 1024

/** 1, in a variable: vectors of constants are made anew for each use by V8 13, in loops too. */
let one: i32 = 0

export function startMoves(): void {
  one = 1
}

/** Adds the 16-bit words of `words` to lanes. Signed ones are what there is an instruction for: each is taken as 0x8000 less. */
function addWords(lanes: v128, words: v128, signs: v128, ones: v128): v128 {
  return i32x4.add(lanes, i32x4.dot_i16x8_s(v128.xor(words, signs), ones))
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

/**
 * Moves at least 16 bytes, to a place that may overlap theirs, and returns their sum, by 16-bit words as they lie there, of at most
 * 9216 bytes; unsummed, 0.
 */
export function move<Way, Sum>(to: usize, from: usize, bytes: u32): u32 {
  const up = idof<Way>() === idof<Up>()
  const summed = idof<Sum>() === idof<Summed>()
  if (!summed && bytes >= LONG) {
    memory.copy(to, from, bytes)
    return 0
  }
  if (!summed && bytes <= 64) {
    moveShort(to, from, bytes)
    return 0
  }
  // Blocks of 16 from the start, and in the end one that lies partly over the last of them. What is written over has been read.
  const last = v128.load(from + bytes - 16)
  const ones = i16x8.splat(<i16>one)
  const signs = i16x8.splat(<i16>(one << 15))
  let lanes = i32x4.splat(0)
  let others = i32x4.splat(0)
  let source = up ? from + (bytes & ~15) : from
  let target = up ? to + (bytes & ~15) : to
  for (let left = bytes; left >= 64; left -= 64) {
    if (up) source -= 64
    if (up) target -= 64
    const a = v128.load(source)
    const b = v128.load(source, 16)
    const c = v128.load(source, 32)
    const d = v128.load(source, 48)
    v128.store(target, a)
    v128.store(target, b, 16)
    v128.store(target, c, 32)
    v128.store(target, d, 48)
    if (summed) lanes = addWords(addWords(lanes, a, signs, ones), b, signs, ones)
    if (summed) others = addWords(addWords(others, c, signs, ones), d, signs, ones)
    if (!up) source += 64
    if (!up) target += 64
  }
  if ((bytes & 32) !== 0) {
    if (up) source -= 32
    if (up) target -= 32
    const a = v128.load(source)
    const b = v128.load(source, 16)
    v128.store(target, a)
    v128.store(target, b, 16)
    if (summed) lanes = addWords(addWords(lanes, a, signs, ones), b, signs, ones)
    if (!up) source += 32
    if (!up) target += 32
  }
  if ((bytes & 16) !== 0) {
    const a = v128.load(up ? from : source)
    v128.store(up ? to : target, a)
    if (summed) others = addWords(others, a, signs, ones)
  }
  v128.store(to + bytes - 16, last)
  if (!summed) return 0
  lanes = addWords(lanes, lastOf(last, bytes & 15), signs, ones)
  return sumOfLanes(i32x4.add(lanes, others), (bytes >>> 4) + 1)
}

/** Up to 64 bytes: from both ends, all before any. */
function moveShort(to: usize, from: usize, bytes: u32): void {
  const a = v128.load(from)
  const z = v128.load(from + bytes - 16)
  if (bytes > 32) {
    const b = v128.load(from, 16)
    const y = v128.load(from + bytes - 32)
    v128.store(to, b, 16)
    v128.store(to + bytes - 32, y)
  }
  v128.store(to, a)
  v128.store(to + bytes - 16, z)
}
