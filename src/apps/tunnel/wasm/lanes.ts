/** AssemblyScript: sums of 16-bit words by vectors, in which packets are moved. */

/** 1, in a variable: vectors of constants are made anew for each use by V8 13, in loops too. */
let one: i32 = 0

export class Lanes {
  static start(): void {
    one = 1
  }

  @inline
  static ones(): v128 {
    return i16x8.splat(<i16>one)
  }

  @inline
  static signs(): v128 {
    return i16x8.splat(<i16>(one << 15))
  }

  /** Adds the 16-bit words of `words` to lanes. Signed ones are what there is an instruction for: each is taken as 0x8000 less. */
  @inline
  static add(lanes: v128, words: v128, signs: v128, ones: v128): v128 {
    return i32x4.add(lanes, i32x4.dot_i16x8_s(v128.xor(words, signs), ones))
  }

  /** What `lanes` has of `blocks` times 16 bytes. */
  @inline
  static sum(lanes: v128, blocks: u32): u32 {
    return (
      (blocks << 18) +
      i32x4.extract_lane(lanes, 0) +
      i32x4.extract_lane(lanes, 1) +
      i32x4.extract_lane(lanes, 2) +
      i32x4.extract_lane(lanes, 3)
    )
  }

  /** The last `count` bytes, less than 16, with zeros behind them. */
  @inline
  static last(block: v128, count: u32): v128 {
    const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    return i8x16.swizzle(block, i8x16.add(places, i8x16.splat(<i8>(16 - count))))
  }
}
