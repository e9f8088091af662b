/** AssemblyScript: ../../../packet/flow-hash.ts once more. */
import { IPV4, IPV6, Word } from './words'

export const SEED: u32 = 0x811c9dc5

export class Hash {
  @inline
  static mix(hash: u32, word: u32): u32 {
    return rotl<u32>(hash ^ word, 15) * 0x01000193
  }

  @inline
  static finish(hash: u32): u32 {
    const once = (hash ^ (hash >>> 16)) * 0x85ebca6b
    return once ^ (once >>> 13)
  }

  /** Of the addresses of the IPv4 packet in a frame, with its protocol. */
  @inline
  static ofAddresses(frame: usize, protocol: u32): u32 {
    return Hash.mix(Hash.mix(protocol ^ SEED, load<u32>(frame, 26)), load<u32>(frame, 30))
  }

  /** TCP or UDP, of a number of which only the lower 5 bits count. */
  @inline
  static hasPorts(protocol: u32): bool {
    return ((0x2_0040 >>> protocol) & 1) !== 0
  }
}

/** See hashFrame(); `at`: what is behind the Ethernet header. */
export function hashOf(start: usize, at: usize, type: u32, left: u32): u32 {
  if (type !== IPV4 && type !== IPV6) {
    let hash = Word.swap(type) ^ SEED
    for (let i: usize = 0; i < 12; i += 4) hash = Hash.mix(hash, load<u32>(start + i))
    return Hash.finish(hash)
  }
  const version = load<u8>(at) >> 4
  let protocol: u32
  let ports: u32
  let hash: u32
  if (version === 4 && left >= 20) {
    protocol = load<u8>(at, 9)
    hash = Hash.ofAddresses(at - 14, protocol)
    if ((load<u16>(at, 6) & 0xff3f) !== 0) return Hash.finish(hash)
    ports = (<u32>(load<u8>(at) & 0xf)) << 2
  } else if (version === 6 && left >= 40) {
    protocol = load<u8>(at, 6)
    hash = protocol ^ SEED
    for (let i: usize = 8; i < 40; i += 4) hash = Hash.mix(hash, load<u32>(at + i))
    ports = 40
  } else return 0
  const known = (protocol < 32 && Hash.hasPorts(protocol)) || protocol === 132
  if (!known || <i32>(left - ports) < 4) return Hash.finish(hash)
  return Hash.finish(Hash.mix(hash ^ SEED, load<u32>(at + ports)))
}
