/**
 * What a card finds out about a frame that it receives: what kind of packet it is and whether its checksums are right. As
 * ../model/packet-info.ts and ../model/rx-checksum.ts, for what most packets are; the others go the long way.
 */
import * as V from '../model/rx-verdict'

/** The frame goes the long way: options, fragments, SCTP, a VLAN tag, a checksum or a length that is wrong. */
export const LONG_WAY: i32 = -1
/** What look() returns holds the packet type above the status. */
export const TYPE_SHIFT = 16

/** EtherTypes and fields of headers as they stand in memory: the first byte is the lowest. */
const IPV4: u32 = 0x0008
const IPV6: u32 = 0xdd86
const L3: usize = 14
const L4_OF_IPV4: usize = 34
const L4_OF_IPV6: usize = 54
/** Version 4, five words of header; version 6. */
const FIRST_OF_IPV4: u32 = 0x45
const VERSION_6: u32 = 6
/** More fragments, or an offset. */
const FRAGMENT: u32 = 0xff3f
const FRAGMENT_HEADER: u32 = 44
const TCP: u32 = 6
const UDP: u32 = 17
const SCTP: u32 = 132
const TCP_BYTES: usize = 20
const UDP_BYTES: usize = 8
/** Hop-by-hop, routing, destination options: headers behind which there are others. */
const HOP_BY_HOP: u32 = 0
const ROUTING: u32 = 43
const DESTINATION: u32 = 60

/** Of the frame of `length` bytes, at least 60: packet type and status, or LONG_WAY. `vlanType`: EtherType of VLAN tags. */
export function look(frame: usize, length: usize, vlanType: u32): i32 {
  const etherType: u32 = load<u16>(frame, 12)
  if (etherType === swap(vlanType)) return LONG_WAY
  if (etherType === IPV4) return lookIpv4(frame, length)
  return etherType === IPV6 ? lookIpv6(frame, length) : 0
}

function lookIpv4(frame: usize, length: usize): i32 {
  const packet = frame + L3
  const first: u32 = load<u8>(packet)
  const end = L3 + <usize>swap(load<u16>(packet, 2))
  if (first !== FIRST_OF_IPV4 || end > length || end < L4_OF_IPV4) return LONG_WAY
  if ((load<u16>(packet, 6) & FRAGMENT) !== 0) return LONG_WAY
  const addresses = words(load<u64>(packet, 12))
  if (fold(words(load<u64>(packet)) + <u64>load<u32>(packet, 8) + addresses) !== 0xffff) return LONG_WAY
  const verdict = (V.TYPE_IPV4 << TYPE_SHIFT) | V.IPCS
  return lookTransport(frame, L4_OF_IPV4, end, load<u8>(packet, 9), addresses, verdict)
}

function lookIpv6(frame: usize, length: usize): i32 {
  const packet = frame + L3
  const end = L4_OF_IPV6 + <usize>swap(load<u16>(packet, 4))
  if ((<u32>load<u8>(packet)) >> 4 !== VERSION_6 || end > length) return LONG_WAY
  const next: u32 = load<u8>(packet, 6)
  if (next === HOP_BY_HOP || next === ROUTING || next === FRAGMENT_HEADER || next === DESTINATION)
    return LONG_WAY
  let addresses: u64 = 0
  for (let at: usize = 8; at < 40; at += 8) addresses += words(load<u64>(packet + at))
  return lookTransport(frame, L4_OF_IPV6, end, next, addresses, V.TYPE_IPV6 << TYPE_SHIFT)
}

/** `addresses`: their sum. `verdict`: of the headers before. */
function lookTransport(
  frame: usize,
  l4: usize,
  end: usize,
  protocol: u32,
  addresses: u64,
  verdict: i32,
): i32 {
  if (protocol === SCTP) return LONG_WAY
  const udp = protocol === UDP
  if (!udp && protocol !== TCP) return verdict
  if (l4 + (udp ? UDP_BYTES : TCP_BYTES) > end) return verdict
  verdict |= (udp ? V.TYPE_UDP : V.TYPE_TCP) << TYPE_SHIFT
  // UDP without a checksum has nothing to check.
  if (udp && load<u16>(frame + l4, 6) === 0) return verdict
  const pseudo = addresses + <u64>(protocol << 8) + <u64>swap(<u32>(end - l4))
  if (fold(pseudo + sum(frame + l4, end - l4)) !== 0xffff) return LONG_WAY
  return verdict | (udp ? V.L4CS | V.UDPCS : V.L4CS)
}

/** The bytes of a word of 16 bits, the other way round. */
function swap(word: u32): u32 {
  return ((word & 0xff) << 8) | (word >> 8)
}

/** A sum of words of 16 bits is the same, once folded, if they are added in pairs (RFC 1071 §2): both pairs of `eight` bytes. */
function words(eight: u64): u64 {
  return (eight & 0xffffffff) + (eight >> 32)
}

/** The end-around carry of RFC 1071, to 16 bits. */
function fold(total: u64): u32 {
  let folded = words(total)
  folded = (folded & 0xffff) + (folded >> 16)
  folded = (folded & 0xffff) + (folded >> 16)
  return <u32>((folded & 0xffff) + (folded >> 16))
}

/** Of `length` bytes in words of 16 bits, an odd last byte padded with zero; not folded. */
function sum(at: usize, length: usize): u64 {
  const end = at + length
  let sums = i32x4(0, 0, 0, 0)
  for (; at + 16 <= end; at += 16) sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_u(v128.load(at)))
  let total = words(i64x2.extract_lane(sums, 0)) + words(i64x2.extract_lane(sums, 1))
  for (; at + 4 <= end; at += 4) total += <u64>load<u32>(at)
  if (at + 2 <= end) {
    total += <u64>load<u16>(at)
    at += 2
  }
  return at < end ? total + <u64>load<u8>(at) : total
}
