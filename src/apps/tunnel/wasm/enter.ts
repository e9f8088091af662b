/** AssemblyScript: into a tunnel. What ../enter.ts and ../wrap.ts do, in the same order. */
import { SIZE } from '../../../memory/wasm-layout'
import { FIRST_OF_IP, HEADER, IP_SUM, PLACES, PORTS, SENT_SUM, SPAN, TAG } from '../network-layout'
import { keyOf, networkOf } from './entering'
import { Hash, SEED } from './hash'
import { Any, Copied, Frames, Packets, Summed, Tagged, Unsummed, Usual } from './kinds'
import { Lanes } from './lanes'
import {
  bareBytes,
  bufferBytes,
  checksums,
  classMask,
  ethernetBytes,
  headerBytes,
  innerMac,
  ipBytes,
  ipv4,
  packetsAt,
  Packet,
  port6,
  SHORTEST,
} from './state'
import { IPV6, Sum, Word } from './words'

/** Of what is moved, from this many bytes on. */
const LONG: u32 = 1024

/** That of the last packet, 0: there is none. */
let network: usize = 0
/** The batch begins with a long packet. */
let long: bool = false
/** Of a packet that is plain, though not like nearly all: see keyOf(). Less than 0: none is. */
let key: i64 = -1

/** What is known of networks has changed. */
export function forget(): void {
  network = 0
}

/** Encapsulates the packets whose ids are the 32-bit words from `batch` on, `count` of them, up to the first that isn't plain. Returns how many. */
export function enter(batch: usize, count: u32): u32 {
  const end = batch + (count << 2)
  let next = batch
  if (count !== 0) long = <u32>load<u16>(<usize>SIZE + ((<usize>load<u32>(batch)) << 1)) >= LONG
  while (true) {
    if (network !== 0) next = runAny(next, end)
    if (next === end) return count
    // It is of another network, or not what nearly all are.
    const id = load<u32>(next)
    const start = Packet.at(id, packetsAt, bufferBytes)
    const before = network
    network = networkOf(start)
    if (network !== before) continue
    if (network !== 0) key = keyOf(network, start, load<u16>(<usize>SIZE + ((<usize>id) << 1)))
    if (network === 0 || key < 0) return (<u32>(next - batch)) >>> 2
  }
}

function runAny(batch: usize, end: usize): usize {
  return bareBytes === 0 ? runOf<Frames>(batch, end) : runOf<Packets>(batch, end)
}

function runOf<Carried>(batch: usize, end: usize): usize {
  if (!ipv4 || ethernetBytes !== 14) return runAt<Carried, Any>(batch, end)
  return load<u32>(network, TAG) === 0
    ? runAt<Carried, Usual>(batch, end)
    : runAt<Carried, Tagged>(batch, end)
}

function runAt<Carried, Place>(batch: usize, end: usize): usize {
  if (checksums) return run<Carried, Place, Summed>(batch, end)
  return long ? run<Carried, Place, Copied>(batch, end) : run<Carried, Place, Unsummed>(batch, end)
}

/**
 * Encapsulates packets up to the first that isn't of the last one's network, or isn't like nearly all: IPv4 without options, TCP or
 * UDP, whole; with a key, the first may be any. Nothing is called in here but to copy, so that all stays in registers.
 */
function run<Carried, Place, Sums>(batch: usize, end: usize): usize {
  const bare: u32 = idof<Carried>() === idof<Packets>() ? 14 : 0
  const tagged = idof<Place>() === idof<Tagged>()
  const usual = tagged || idof<Place>() === idof<Usual>()
  const summed = idof<Sums>() === idof<Summed>()
  const copied = idof<Sums>() === idof<Copied>()
  const isIpv4 = usual || ipv4
  const headers: u32 = usual ? (bare === 0 ? 50 : 42) : headerBytes
  const ethernet: u32 = usual ? 14 : ethernetBytes
  const udpAt: u32 = usual ? 34 : ethernetBytes + ipBytes
  // The end of the headers and the beginning of what is carried share 16 bytes; from there on the packet goes to multiples of 16.
  const mixedAt = headers & ~15
  const mixed: u32 = 16 - (headers & 15)
  const header = network + HEADER
  const tagWord = load<u32>(network, TAG)
  const tag: u32 = tagged || (!usual && tagWord !== 0) ? 4 : 0
  const span = load<u32>(network, SPAN)
  const ipSum = load<u32>(network, IP_SUM)
  const sentSum = load<u32>(network, SENT_SUM)
  const firstOfIp = load<u32>(network, FIRST_OF_IP)
  const ports = load<u32>(network, PORTS)
  const packets = packetsAt
  const each = bufferBytes
  const mask = classMask
  const mac = innerMac
  const h0 = v128.load(header)
  const h1 = v128.load(header, 16)
  const h2 = v128.load(header, 32)
  const h3 = v128.load(header, 48)
  const ending = v128.load(usual ? header + headers - 16 : header + mixedAt)
  const places = v128.load(network, PLACES)
  const ones = Lanes.ones()
  const signs = Lanes.signs()
  for (let next = batch; next < end; next += 4) {
    const id = load<u32>(next)
    const start = Packet.at(id, packets, each)
    const sizeAt = <usize>SIZE + ((<usize>id) << 1)
    const from = start + tag
    let bytes = <u32>load<u16>(sizeAt) - tag
    if (tag !== 0) {
      if ((load<u32>(start, 12) & 0xff0f_ffff) !== tagWord) return next
    }
    const type = load<u32>(from, 12)
    const word = load<u32>(from, 20)
    // Whatever isn't as it is in nearly all.
    let other = (type & 0xff_ffff) ^ 0x45_0008
    other |= word & 0xe000_ff3f
    other |= ~(0x2_0040 >>> (word >>> 24)) & 1
    if (bare !== 0) {
      const whole: u32 = 14 + Word.load(from + 16)
      if (load<u64>(start) << 16 !== mac) other = 1
      // Addresses that wait for what a packet says would hold up all that follows: with a jump, they are guessed to be those of nearly all.
      if (whole !== bytes) {
        if (whole > bytes) other = 1
        bytes = whole
      }
    }
    let trafficClass = (type >>> 16) & mask
    let hash = Hash.finish(Hash.mix(Hash.ofAddresses(from, word >>> 24) ^ SEED, load<u32>(from, 34)))
    if (bytes - SHORTEST > span || other !== 0) {
      if (key < 0) return next
      bytes = (<u32>key) & 0xffff
      trafficClass = (<u32>(key >> 8)) & mask
      hash = <u32>(key >> 24)
      key = -1
    }

    // Towards the end of the buffer, so from the end on.
    const carried = bytes - bare
    const body = from + bare
    const inner = start + headers
    const tail = v128.load(body + carried - 16)
    let first = v128.load(bare !== 0 ? body : start)
    if (bare === 0 && tag !== 0) {
      // The tag comes out: where the addresses don't all share 16 bytes with the headers, they move up to it before all that follows.
      first = i16x8.replace_lane(first, 6, <i16>type)
      if (mixed < 12) v128.store(from, i16x8.replace_lane(first, 7, load<u16>(from, 14)))
    }
    let sums = i32x4.splat(0)
    let others = i32x4.splat(0)
    const rest = carried - mixed
    let source = body + mixed + (rest & ~15)
    let target = inner + mixed + (rest & ~15)
    let left = rest
    if (copied && rest >= LONG) {
      memory.copy(inner + mixed, body + mixed, rest)
      left = 0
    }
    for (; left >= 64; left -= 64) {
      source -= 64
      target -= 64
      const a = v128.load(source)
      const b = v128.load(source, 16)
      const c = v128.load(source, 32)
      const d = v128.load(source, 48)
      v128.store(target, a)
      v128.store(target, b, 16)
      v128.store(target, c, 32)
      v128.store(target, d, 48)
      if (summed) sums = Lanes.add(Lanes.add(sums, a, signs, ones), b, signs, ones)
      if (summed) others = Lanes.add(Lanes.add(others, c, signs, ones), d, signs, ones)
    }
    if ((left & 32) !== 0) {
      source -= 32
      target -= 32
      const a = v128.load(source)
      const b = v128.load(source, 16)
      v128.store(target, a)
      v128.store(target, b, 16)
      if (summed) sums = Lanes.add(Lanes.add(sums, a, signs, ones), b, signs, ones)
    }
    if ((left & 16) !== 0) {
      const a = v128.load(source - 16)
      v128.store(target - 16, a)
      if (summed) others = Lanes.add(others, a, signs, ones)
    }
    v128.store(inner + carried - 16, tail)
    const shared = i8x16.swizzle(first, places)
    v128.store(start, h0)
    v128.store(start, h1, 16)
    if (mixedAt > 32) v128.store(start, h2, 32)
    if (mixedAt > 48) v128.store(start, h3, 48)
    if (!usual) v128.store(start + mixedAt, v128.or(ending, shared))
    else if (bare === 0)
      v128.store(
        start,
        i8x16.shuffle(ending, first, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29),
        48,
      )
    else
      v128.store(
        start,
        i8x16.shuffle(ending, first, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21),
        32,
      )
    store<u16>(sizeAt, <u16>(headers + carried))

    const datagram = Word.swap(headers - udpAt + carried)
    const ip = start + ethernet
    if (isIpv4) {
      const swapped = Word.swap(headers - ethernet + carried)
      store<u32>(ip, firstOfIp | trafficClass | (swapped << 16))
      store<u16>(ip, <u16>~Sum.fold(ipSum + trafficClass + swapped), 10)
    } else {
      const word = Word.swap(Word.swap(firstOfIp) | (trafficClass >>> 4) | (hash >>> 28))
      store<u32>(ip, word | (Word.swap((hash >>> 12) & 0xffff) << 16))
      store<u16>(ip, <u16>datagram, 4)
    }
    let between = ports | (hash & 0xff3f)
    if (bare !== 0) {
      if ((type & 0xffff) === IPV6) between = (port6 << 16) | 0xc0 | (hash & 0xff3f)
    }
    const udp = start + udpAt
    store<u64>(udp, (<u64>between) | ((<u64>datagram) << 32))
    if (summed) {
      sums = Lanes.add(i32x4.add(sums, others), Lanes.last(tail, rest & 15), signs, ones)
      sums = Lanes.add(sums, shared, signs, ones)
      const inside = Lanes.sum(sums, (rest >>> 4) + 2)
      // The length stands in the pseudo header as well.
      const sent = ~Sum.fold(sentSum + inside + (between & 0xffff) + (between >>> 16) + 2 * datagram) & 0xffff
      store<u16>(udp, <u16>(sent === 0 ? 0xffff : sent), 6)
    }
  }
  return end
}
