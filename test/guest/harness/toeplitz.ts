/** The hash of receive side scaling, bit by bit as §7.1.2.8.1 tells it: the judge of what a card computes. */

/** `input` is what is hashed, of at most `key.length - 4` bytes. */
export function toeplitz(key: Uint8Array, input: Uint8Array): number {
  const bit = (bytes: Uint8Array, index: number): number =>
    ((bytes[index >> 3] ?? 0) >> (7 - (index & 7))) & 1
  let hash = 0
  for (let i = 0; i < input.length * 8; i++) {
    if (bit(input, i) === 0) continue
    let window = 0
    for (let j = 0; j < 32; j++) window = (window << 1) | bit(key, i + j)
    hash ^= window
  }
  return hash >>> 0
}
