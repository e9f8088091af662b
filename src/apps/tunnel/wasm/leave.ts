/** AssemblyScript: out of a tunnel. What ../leave.ts and ../deliver.ts do, in the same order. */
import { SIZE } from '../../../memory/wasm-layout'
import { FRAME, NETWORK_BYTES, PSEUDO_SUM, TAG, WANTED } from '../network-layout'
import { Frames, Packets, Summed, Unsummed } from './kinds'
import { Lanes } from './lanes'
import {
  bareBytes,
  bufferBytes,
  caredAt,
  checksums,
  ecnAt,
  ethernetBytes,
  headerBytes,
  ipBytes,
  ipv4,
  networksAt,
  packetsAt,
  Packet,
  port,
  port6,
  slotsAt,
} from './state'
import { IPV4, IPV6, Sum, VLAN, Word } from './words'

/** That of the last packet, 0: there is none; and whether that had a UDP checksum. */
let network: usize = 0
let summed: bool = false

/** What is known of networks has changed. */
export function forget(): void {
  network = 0
}

/** Takes the outer headers off the packets whose ids are the 32-bit words from `batch` on, `count` of them, up to the first that isn't plain. Returns how many. */
export function leave(batch: usize, count: u32): u32 {
  const end = batch + (count << 2)
  let next = batch
  while (true) {
    if (network !== 0) next = runAny(next, end)
    if (next === end) return count
    // It is of another network, or its checksum isn't like that of the last one.
    const start = Packet.at(load<u32>(next), packetsAt, bufferBytes)
    const before = network
    const was = summed
    network = networkOf(start)
    summed = load<u16>(start + ethernetBytes + ipBytes, 6) !== 0
    if (network === 0 || (network === before && summed === was)) return (<u32>(next - batch)) >>> 2
  }
}

/** By what tells networks apart: the identifier; of fou, the other end's address. It may be another's with the same last bits, which run() sees. */
function networkOf(start: usize): usize {
  const ip = start + ethernetBytes
  const bits = bareBytes === 0 ? Word.load(ip + ipBytes + 13) : Word.load(ip + (ipv4 ? 14 : 22))
  const index = <u32>load<u16>(slotsAt + ((bits & 0xfff) << 1))
  return index === 0 ? 0 : networksAt + (index - 1) * NETWORK_BYTES
}

function runAny(batch: usize, end: usize): usize {
  if (bareBytes === 0) return summed ? run<Frames, Summed>(batch, end) : run<Frames, Unsummed>(batch, end)
  return summed ? run<Packets, Summed>(batch, end) : run<Packets, Unsummed>(batch, end)
}

/**
 * Takes the outer headers off packets up to the first that isn't of the last one's network, has something wrong with it, or hasn't a
 * checksum where the last one has one. After what is called in here nothing goes on, so that all stays in registers.
 */
function run<Carried, Sums>(batch: usize, end: usize): usize {
  const bare: u32 = idof<Carried>() === idof<Packets>() ? 14 : 0
  const sums = idof<Sums>() === idof<Summed>()
  const headers = headerBytes
  const ethernet = ethernetBytes
  const udpAt = ethernet + ipBytes
  const before = headers - udpAt
  const isIpv4 = ipv4
  if (!sums && !isIpv4 && checksums) return batch
  const packets = packetsAt
  const each = bufferBytes
  const tagWord = load<u32>(network, TAG)
  const tag: u32 = tagWord === 0 ? 0 : 4
  const pseudoSum = load<u32>(network, PSEUDO_SUM)
  const frame = v128.load(network, FRAME)
  const frameBits = i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0)
  const wanted = network + WANTED
  const cared = caredAt
  const w0 = v128.load(wanted)
  const w1 = v128.load(wanted, 16)
  const w2 = v128.load(wanted, 32)
  const w3 = v128.load(wanted + headers - 32)
  const w4 = v128.load(wanted + headers - 16)
  const c0 = v128.load(cared)
  const c1 = v128.load(cared, 16)
  const c2 = v128.load(cared, 32)
  const c3 = v128.load(cared + headers - 32)
  const c4 = v128.load(cared + headers - 16)
  const addresses: u64 = <u64>load<u32>(wanted + ethernet, 12) + <u64>load<u32>(wanted + ethernet, 16)
  /** Of the first 16 bytes of a whole frame, what is carried. */
  const carriedBits = i8x16.ge_s(
    i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    i8x16.splat(<i8>(bare + tag)),
  )
  const ones = Lanes.ones()
  const signs = Lanes.signs()
  for (let next = batch; next < end; next += 4) {
    const id = load<u32>(next)
    const start = Packet.at(id, packets, each)
    const sizeAt = <usize>SIZE + ((<usize>id) << 1)
    const size = <u32>load<u16>(sizeAt)
    if (size < headers + 16) return next
    const from = start + headers
    // Whatever the headers must be: one comparison for all of it.
    const p0 = v128.load(start)
    const p1 = v128.load(start, 16)
    const p2 = v128.load(start, 32)
    const p3 = v128.load(from - 32)
    const p4 = v128.load(from - 16)
    let other = v128.and(v128.xor(p0, w0), c0)
    other = v128.or(other, v128.and(v128.xor(p1, w1), c1))
    if (!isIpv4) other = v128.or(other, v128.and(v128.xor(p2, w2), c2))
    other = v128.or(other, v128.and(v128.xor(p3, w3), c3))
    other = v128.or(other, v128.and(v128.xor(p4, w4), c4))
    if (v128.any_true(other)) return next
    const ip = start + ethernet
    const udp = start + udpAt
    const datagram = Word.load(udp + 4)
    // With a jump, addresses are guessed to be those of nearly all, which aren't padded, and wait for nothing that the packet says.
    let bytes = size - headers
    if (datagram - before !== bytes) bytes = datagram - before
    // What is carried has at least 16 bytes, or an IP header.
    if (datagram < before + (bare === 0 ? 16 : 20)) return next
    const left = size - ethernet
    let outer: u32
    if (isIpv4) {
      const first = load<u32>(ip)
      const length = Word.swap(first >>> 16)
      if (datagram + 20 > length) return next
      if (length > left) return next
      if (!Sum.isRight(addresses + <u64>first + <u64>load<u32>(ip, 4) + <u64>load<u32>(ip, 8))) return next
      outer = (first >>> 8) & 3
    } else {
      const length = Word.load(ip + 4)
      if (datagram > length) return next
      if (length + 40 > left) return next
      outer = (Word.load(ip) >>> 4) & 3
    }
    const checksum = <u32>load<u16>(udp, 6)
    if (sums ? checksum === 0 : checksum !== 0) return next
    let type: u32 = IPV4
    if (bare !== 0) {
      const to = <u32>load<u16>(udp, 2)
      if (load<u8>(from) === 0x45) {
        if (to !== port) return next
        if (Word.load(from + 2) !== bytes) return next
      } else {
        // ICMPv6 may be what ends here.
        if (port6 === 0 || to !== port6 || load<u8>(from) >> 4 !== 6) return next
        if (Word.load(from + 4) + 40 !== bytes || load<u8>(from, 6) === 58) return next
        type = IPV6
      }
    }
    // What is marked may have to be dropped, and is rare.
    if (outer !== 0) {
      if (bare === 0) type = load<u16>(from, 12)
      const at = from + 14 - bare
      if (type === IPV4 || type === IPV6) {
        const inside: u32 = type === IPV4 ? load<u8>(at, 1) & 3 : (Word.load(at) >>> 4) & 3
        if (<u32>load<u8>(ecnAt + ((inside << 2) | outer)) !== inside) return next
      } else if (type === VLAN) return next
    }

    let sum: u64 = 0
    if (sums) {
      // The length stands in the pseudo header as well.
      sum = <u64>load<u32>(udp) + <u64>load<u32>(udp, 4) + pseudoSum + Word.swap(datagram)
      if (before === 16) sum += <u64>load<u32>(udp, 8) + <u64>load<u32>(udp, 12)
      // What UDP's header ends with is in the first 16 bytes that are moved.
      if (bare !== 0 && tag !== 0) sum += checksum ^ 0xffff
    }

    // As if the frame lay whole before it is moved: its first 16 bytes are made of what is there and what is not.
    const whole = bytes + bare + tag
    const virtual = from - bare - tag
    const p5 = v128.load(virtual)
    let first = bare !== 0 ? v128.bitselect(frame, p5, frameBits) : v128.load(from)
    if (tag !== 0) first = i32x4.replace_lane(first, 3, tagWord)
    const rest = whole - 16
    let lanes = i32x4.splat(0)
    let others = i32x4.splat(0)
    let source = virtual + 16
    let target = start + 16
    for (let left = rest; left >= 64; left -= 64) {
      const a = v128.load(source)
      const b = v128.load(source, 16)
      const c = v128.load(source, 32)
      const d = v128.load(source, 48)
      v128.store(target, a)
      v128.store(target, b, 16)
      v128.store(target, c, 32)
      v128.store(target, d, 48)
      if (sums) lanes = Lanes.add(Lanes.add(lanes, a, signs, ones), b, signs, ones)
      if (sums) others = Lanes.add(Lanes.add(others, c, signs, ones), d, signs, ones)
      source += 64
      target += 64
    }
    if ((rest & 32) !== 0) {
      const a = v128.load(source)
      const b = v128.load(source, 16)
      v128.store(target, a)
      v128.store(target, b, 16)
      if (sums) lanes = Lanes.add(Lanes.add(lanes, a, signs, ones), b, signs, ones)
      source += 32
      target += 32
    }
    if ((rest & 16) !== 0) {
      const a = v128.load(source)
      v128.store(target, a)
      if (sums) others = Lanes.add(others, a, signs, ones)
    }
    const tail = v128.load(from + bytes - 16)
    v128.store(start + whole - 16, tail)
    if (sums) {
      lanes = Lanes.add(i32x4.add(lanes, others), Lanes.last(tail, rest & 15), signs, ones)
      lanes = Lanes.add(lanes, v128.and(p5, carriedBits), signs, ones)
      sum += Lanes.sum(lanes, (rest >>> 4) + 2)
      if (!Sum.isRight(sum)) {
        memory.copy(virtual + 16, start + 16, rest)
        v128.store(virtual, p5)
        v128.store(start, p0)
        v128.store(start, p1, 16)
        if (!isIpv4) v128.store(start, p2, 32)
        v128.store(from - 32, p3)
        v128.store(from - 16, p4)
        return next
      }
    }
    v128.store(start, first)
    if (bare !== 0) store<u16>(start + tag, <u16>type, 12)
    store<u16>(sizeAt, <u16>whole)
  }
  return end
}
