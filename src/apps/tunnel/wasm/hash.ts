/** AssemblyScript: ../../../packet/flow-hash.ts once more. */
import { IPV4, IPV6, swap } from './words'

export function mix(hash: u32, word: u32): u32 {
  return rotl<u32>(hash ^ word, 15) * 0x01000193
}

export function finish(hash: u32): u32 {
  const once = (hash ^ (hash >>> 16)) * 0x85ebca6b
  return once ^ (once >>> 13)
}

export const SEED: u32 = 0x811c9dc5

/** Of an IPv4 header, with its protocol. */
export function hashOfAddresses(at: usize): u32 {
  return mix(mix(load<u8>(at, 9) ^ SEED, load<u32>(at, 12)), load<u32>(at, 16))
}

export function isTcpOrUdp(protocol: u32): bool {
  return protocol < 32 && (((1 << 6) | (1 << 17)) & (1 << protocol)) !== 0
}

/** See hashFrame(); `at`: what is behind the Ethernet header. */
export function hashOf(start: usize, at: usize, type: u32, left: u32): u32 {
  if (type !== IPV4 && type !== IPV6) {
    let hash = swap(type) ^ SEED
    for (let i: usize = 0; i < 12; i += 4) hash = mix(hash, load<u32>(start + i))
    return finish(hash)
  }
  const version = load<u8>(at) >> 4
  let protocol: u32
  let ports: u32
  let hash: u32
  if (version === 4 && left >= 20) {
    protocol = load<u8>(at, 9)
    hash = hashOfAddresses(at)
    if ((load<u16>(at, 6) & 0xff3f) !== 0) return finish(hash)
    ports = (<u32>(load<u8>(at) & 0xf)) << 2
  } else if (version === 6 && left >= 40) {
    protocol = load<u8>(at, 6)
    hash = protocol ^ SEED
    for (let i: usize = 8; i < 40; i += 4) hash = mix(hash, load<u32>(at + i))
    ports = 40
  } else return 0
  const known = isTcpOrUdp(protocol) || protocol === 132
  if (!known || <i32>(left - ports) < 4) return finish(hash)
  return finish(mix(hash ^ SEED, load<u32>(at + ports)))
}
