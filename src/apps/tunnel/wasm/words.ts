/** AssemblyScript: numbers of two bytes in packets. */

/** EtherTypes as they lie in packets. */
export const IPV4: u32 = 0x0008
export const IPV6: u32 = 0xdd86
export const VLAN: u32 = 0x0081

/** Of the lower half of `value`. */
export function swap(value: u32): u32 {
  return ((value * 0x10001) >>> 8) & 0xffff
}

export function load16(at: usize): u32 {
  return swap(load<u16>(at))
}

export function fold(sum: u32): u32 {
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}
