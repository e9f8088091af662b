/** The same memory as bytes and as 32-bit words. Copies of aligned frames go by words: a `set(subarray)` would allocate. */
export interface Bytes {
  readonly u8: Uint8Array
  readonly u32: Uint32Array
}

/** Views over `buffer` (whole words only). */
export function bytesOver(buffer: ArrayBufferLike, offset = 0, length = buffer.byteLength - offset): Bytes {
  return { u8: new Uint8Array(buffer, offset, length), u32: new Uint32Array(buffer, offset, length >>> 2) }
}

/** Fresh zeroed memory of `length` bytes, rounded up to whole words. */
export function allocateBytes(length: number): Bytes {
  return bytesOver(new ArrayBuffer((length + 3) & ~3))
}

/**
 * Copies `length` bytes. Word by word when both offsets are multiples of 4, else byte by byte.
 */
export function copyBytes(
  from: Bytes,
  fromOffset: number,
  to: Bytes,
  toOffset: number,
  length: number,
): void {
  let done = 0
  if (((fromOffset | toOffset) & 3) === 0) {
    const source = from.u32
    const target = to.u32
    const words = length >>> 2
    let s = fromOffset >>> 2
    let t = toOffset >>> 2
    let i = 0
    // Four at a time: a loop round costs as much as a word.
    for (; i + 3 < words; i += 4, s += 4, t += 4) {
      target[t] = source[s]
      target[t + 1] = source[s + 1]
      target[t + 2] = source[s + 2]
      target[t + 3] = source[s + 3]
    }
    for (; i < words; i++) target[t++] = source[s++]
    done = words << 2
  }
  const source = from.u8
  const target = to.u8
  for (let i = done; i < length; i++) target[toOffset + i] = source[fromOffset + i]
}
