/** AssemblyScript: numbers of two bytes in packets, and sums of them. A call in a loop costs all its registers: nothing here is called. */

/** EtherTypes as they lie in packets. */
export const IPV4: u32 = 0x0008
export const IPV6: u32 = 0xdd86
export const VLAN: u32 = 0x0081

export class Word {
  /** Of the lower half of `value`. */
  @inline
  static swap(value: u32): u32 {
    return ((value * 0x10001) >>> 8) & 0xffff
  }

  @inline
  static load(at: usize): u32 {
    return Word.swap(load<u16>(at))
  }
}

export class Sum {
  @inline
  static fold(sum: u32): u32 {
    const once = (sum & 0xffff) + (sum >>> 16)
    return (once & 0xffff) + (once >>> 16)
  }

  /** Of `bytes` bytes, a multiple of 4. */
  static of(at: usize, bytes: u32): u32 {
    let sum: u64 = 0
    for (let i: u32 = 0; i < bytes; i += 4) sum += load<u32>(at + i)
    return Sum.fold(Sum.fold(<u32>(sum >>> 32) + ((<u32>sum) & 0xffff) + ((<u32>sum) >>> 16)))
  }

  /**
   * A sum that isn't 0 would be folded to 0xffff: it is a multiple of that. Those are what, times the inverse of 0xffff modulo 2^64,
   * remains small.
   */
  @inline
  static isRight(sum: u64): bool {
    return sum * (((<u64>0xfffe_fffe) << 32) | 0xfffe_ffff) <= 0x0001_0001_0001_0001
  }
}
