/** AssemblyScript: what a frame of the inner side is, for enter.ts, of those that aren't like nearly all. */
import { LONGEST, NETWORK_BYTES, READY, TAG } from '../network-layout'
import { hashOf } from './hash'
import { bareBytes, innerMac, networksAt, port6, restOfFrames, vlansAt } from './state'
import { IPV4, IPV6, VLAN, Word } from './words'

/** 0: of none that is ready. */
export function networkOf(start: usize): usize {
  const word = load<u32>(start, 12)
  let index = restOfFrames
  if ((word & 0xffff) === VLAN) index = load<u16>(vlansAt + ((Word.swap(word >>> 16) & 0xfff) << 1))
  if (index === 0) return 0
  const at = networksAt + (index - 1) * NETWORK_BYTES
  return load<u32>(at, READY) === 0 ? 0 : at
}

/** Of any frame, which is of `bytes` bytes: hash, traffic class, and in the lower 16 bits bytes without tag and padding; less than 0: it isn't plain. */
export function keyOf(network: usize, start: usize, bytes: u32): i64 {
  const tag: u32 = load<u32>(network, TAG) === 0 ? 0 : 4
  const from = start + tag
  const type = <u32>load<u16>(from, 12)
  let whole = bytes - tag
  // Shorter ones are not worth the care that moves by 16 bytes would need.
  if (<i32>whole < <i32>(tag === 0 ? 16 : 28) || type === VLAN) return -1
  if (bareBytes !== 0) {
    if (load<u64>(start) << 16 !== innerMac) return -1
    const length: u32 = 14 + lengthOf(from + 14, type, whole - 14)
    if (length === 14 || length > whole) return -1
    whole = length
  }
  if (<i32>whole > <i32>load<u32>(network, LONGEST)) return -1
  const left = whole - 14
  const hash = hashOf(start, from + 14, type, left)
  return ((<i64>hash) << 24) | (classOf(from + 14, type, left) << 16) | whole
}

/** Traffic class of what is in a frame; 0 if that isn't IP. */
function classOf(at: usize, type: u32, left: u32): u32 {
  if (type === IPV4 && left >= 20) return load<u8>(at, 1)
  return type === IPV6 && left >= 40 ? (Word.load(at) >>> 4) & 0xff : 0
}

/** Bytes of an IP packet as its header says, which may not be there; 0: it is none, or not plain. */
function lengthOf(at: usize, type: u32, left: u32): u32 {
  if (type === IPV4) {
    const length = Word.load(at + 2)
    return load<u8>(at) === 0x45 && length >= 20 ? length : 0
  }
  // ICMPv6 may be a question that ends here.
  const plain = type === IPV6 && port6 !== 0 && <i32>left >= 40 && load<u8>(at) >> 4 === 6
  return plain && load<u8>(at, 6) !== 58 ? 40 + Word.load(at + 4) : 0
}
