/**
 * AssemblyScript, compiled to WebAssembly: the way of plain packets into a tunnel and out of it. What ../enter.ts,
 * ../wrap.ts, ../leave.ts and ../deliver.ts do with them, in the same order; whatever is not plain is left to those, as it was.
 *
 * Plain is what belongs to the network without a VLAN, and has nothing wrong with it. Addresses are bytes from the start of the
 * memory that is shared with JavaScript. What is said in packets in two bytes is taken as it lies there, the lower byte first, wherever only its
 * equality counts, or a sum in ones' complement, which is the same either way but for the order of its bytes (RFC 1071 §2 B).
 */
import { SIZE } from '../../../memory/wasm-layout'
import { SEED, finish, hashOf, hashOfAddresses, mix } from './hash'
import { Down, Summed, Unsummed, Up, move, startMoves } from './moves'
import { IPV4, IPV6, VLAN, fold, load16, swap } from './words'

/** Of a frame with an IPv4 header and ports. */
const SHORTEST: u32 = 14 + 20 + 4

let packetsAt: usize = 0
/** From one packet buffer to the next. */
let bufferBytes: u32 = 0
/** The outer headers, ready but for what differs from packet to packet. */
let headerAt: usize = 0
/** The headers of packets that come, and which of their bits must be so: by 16 bytes, as all headers. */
let wantedAt: usize = 0
let caredAt: usize = 0
let headerBytes: u32 = 0
let ethernetBytes: u32 = 0
let ipv4: bool = false
let ipBytes: u32 = 0
/** Of UDP and what follows it. */
let udpBytes: u32 = 0
/** What is taken off inner frames: their Ethernet headers, or nothing. */
let bareBytes: u32 = 0
/** That header as frames come out with it, but for the type; behind the host's address is ours. */
let frameAt: usize = 0
/** From the IP header on, for a frame of no length. */
let beyondEthernet: u32 = 0
/** Of the headers: the first two bytes of IP, and the ports of UDP with as much of ours as is the same in all; for IPv6 inside 0 if there is none. */
let firstOfIp: u32 = 0
let ports: u32 = 0
let ports6: u32 = 0
let ipSum: u32 = 0
let pseudoSum: u32 = 0
/** With that of what is between UDP and the inner frame. */
let sentSum: u32 = 0
let classMask: u32 = 0
let checksums: bool = false
/** Of a frame that fits. */
let longest: i32 = 0
/** More than the shortest that has ports. */
let span: u32 = 0
let ecnAt: usize = 0

/**
 * `header`: that of packets to the other end. `wanted`, `cared`: of packets from there, and the bits of it that count. `frame`: 0, or
 * where the Ethernet header of inner frames is, which are carried without. `port6`: where IPv6 packets go then, 0: nowhere. `ecn`: see
 * ECN_AFTER_TUNNEL.
 */
export function start(
  packets: usize,
  shift: u32,
  header: usize,
  wanted: usize,
  cared: usize,
  bytes: u32,
  ethernet: u32,
  isIpv4: bool,
  frame: usize,
  port6: u32,
  mask: u32,
  withChecksums: bool,
  ecn: usize,
): void {
  startMoves()
  packetsAt = packets
  bufferBytes = 1 << shift
  headerAt = header
  wantedAt = wanted
  caredAt = cared
  headerBytes = bytes
  ethernetBytes = ethernet
  ipv4 = isIpv4
  ipBytes = isIpv4 ? 20 : 40
  udpBytes = bytes - ethernet - ipBytes
  frameAt = frame
  bareBytes = frame === 0 ? 0 : 14
  beyondEthernet = bytes - ethernet - bareBytes
  ports6 = port6 === 0 ? 0 : (swap(port6) << 16) | 0xc0
  classMask = mask
  checksums = withChecksums
  ecnAt = ecn
}

/** The headers have changed. `most`: of a frame with them. */
export function change(ipHeaderSum: u32, pseudoHeaderSum: u32, most: u32): void {
  const udp = headerAt + ethernetBytes + ipBytes
  ipSum = swap(fold(ipHeaderSum))
  pseudoSum = swap(fold(pseudoHeaderSum))
  sentSum = pseudoSum + tunnelSum(udp)
  longest = most - headerBytes + bareBytes
  span = longest - SHORTEST
  firstOfIp = load<u16>(headerAt + ethernetBytes)
  ports = ((<u32>load<u16>(udp, 2)) << 16) | 0xc0
}

function dataOf(id: u32): usize {
  return packetsAt + <usize>id * bufferBytes + 64 + ((id & 7) << 6)
}

/** Traffic class of what is in a frame; 0 if that isn't IP. */
function classOf(at: usize, type: u32, left: u32): u32 {
  if (type === IPV4 && left >= 20) return load<u8>(at, 1)
  return type === IPV6 && left >= 40 ? (load16(at) >>> 4) & 0xff : 0
}

/** Encapsulates the packets whose ids are the 32-bit words from `batch` on, `count` of them, up to the first that isn't plain. Returns how many. */
export function enter(batch: usize, count: u32): u32 {
  return checksums ? enterWith<Summed>(batch, count) : enterWith<Unsummed>(batch, count)
}

/** Hash and, in the lower 16 bits, traffic class of any frame; less than 0: it isn't plain. */
function keyOf(start: usize, bytes: u32): i64 {
  const type = <u32>load<u16>(start, 12)
  if (bytes < 16 || <i32>bytes > longest || type === VLAN) return -1
  const hash = hashOf(start, start + 14, type, bytes - 14)
  return ((<i64>hash) << 16) | classOf(start + 14, type, bytes - 14)
}

function enterWith<Sum>(batch: usize, count: u32): u32 {
  const end = batch + (count << 2)
  for (let next = batch; next < end; next += 4) {
    const id = load<u32>(next)
    const start = dataOf(id)
    const sizeAt = <usize>SIZE + ((<usize>id) << 1)
    let bytes = <u32>load<u16>(sizeAt)
    const type = load<u32>(start, 12)
    if (bareBytes !== 0) {
      bytes = withoutPadding(start, bytes)
      if (bytes === 0) return (<u32>(next - batch)) >>> 2
    }
    let trafficClass = type >>> 24
    let hash: u32 = 0
    // Nearly all: IPv4 without options, TCP or UDP, whole. One after the other: V8 makes jumps of these, and longer code of &&.
    let known = false
    if (bytes - SHORTEST <= span) {
      if ((type & 0xff_ffff) === 0x45_0008) {
        if ((load<u32>(start, 20) & 0xe000_ff3f) === 0) {
          if (((0x2_0040 >>> (<u32>load<u8>(start, 23))) & 1) !== 0) {
            hash = finish(mix(hashOfAddresses(start + 14) ^ SEED, load<u32>(start, 34)))
            known = true
          }
        }
      }
    }
    if (!known) {
      const key = keyOf(start, bytes)
      if (key < 0) return (<u32>(next - batch)) >>> 2
      trafficClass = (<u32>key) & 0xff
      hash = <u32>(key >>> 16)
    }
    trafficClass &= classMask
    const inner = start + headerBytes
    const bare = bareBytes
    const sum = move<Up, Sum>(inner, start + bare, bytes - bare)
    const header = headerAt
    const back = header + (inner - start)
    v128.store(start, v128.load(header))
    v128.store(start, v128.load(header, 16), 16)
    if (!ipv4) v128.store(start, v128.load(header, 32), 32)
    v128.store(inner - 32, v128.load(back - 32))
    v128.store(inner - 16, v128.load(back - 16))
    store<u16>(sizeAt, <u16>(headerBytes + bytes - bare))
    const ip = start + ethernetBytes
    const length = bytes + beyondEthernet
    if (ipv4) finishIpv4(ip, length, trafficClass)
    else finishIpv6(ip, length - 40, trafficClass, hash)
    const ipHeader = ipBytes
    const udp = ip + ipHeader
    const datagram = swap(length - ipHeader)
    let between = ports | (hash & 0xff3f)
    if (bare !== 0 && (type & 0xffff) === IPV6) between = ports6 | (hash & 0xff3f)
    store<u64>(udp, (<u64>between) | ((<u64>datagram) << 32))
    if (idof<Sum>() === idof<Summed>()) {
      // The length stands in the pseudo header as well.
      const sent = ~fold(sentSum + sum + (between & 0xffff) + (between >>> 16) + 2 * datagram) & 0xffff
      store<u16>(udp, <u16>(sent === 0 ? 0xffff : sent), 6)
    }
  }
  return count
}

function finishIpv4(ip: usize, length: u32, trafficClass: u32): void {
  const swapped = swap(length)
  const byte = trafficClass << 8
  store<u32>(ip, firstOfIp | byte | (swapped << 16))
  store<u16>(ip, <u16>~fold(ipSum + byte + swapped), 10)
}

function finishIpv6(ip: usize, length: u32, trafficClass: u32, hash: u32): void {
  const word = swap(swap(firstOfIp) | (trafficClass << 4) | (hash >>> 28))
  store<u32>(ip, word | (swap((hash >>> 12) & 0xffff) << 16))
  store<u16>(ip, <u16>swap(length), 4)
}

/** Of the headers of UDP and of the tunnel. */
function headerSum(udp: usize): u32 {
  const words: u64 = <u64>load<u32>(udp) + <u64>load<u32>(udp, 4)
  return fold(<u32>(words >> 32) + ((<u32>words) & 0xffff) + ((<u32>words) >>> 16)) + tunnelSum(udp)
}

function tunnelSum(udp: usize): u32 {
  if (udpBytes === 8) return 0
  const words: u64 = <u64>load<u32>(udp, 8) + <u64>load<u32>(udp, 12)
  return fold(<u32>(words >> 32) + ((<u32>words) & 0xffff) + ((<u32>words) >>> 16))
}

/** Bytes of a frame with an IP packet for this end to carry, without padding; 0: it is none, or not plain. */
function withoutPadding(start: usize, bytes: u32): u32 {
  if (load<u64>(start) << 16 !== load<u64>(frameAt, 6) << 16) return 0
  const type = <u32>load<u16>(start, 12)
  const whole: u32 = 14 + lengthOf(start + 14, type, bytes - 14)
  return whole > 14 && whole <= bytes ? whole : 0
}

/** Bytes of an IP packet as its header says, which may not be there; 0: it is none, or not plain. */
function lengthOf(at: usize, type: u32, left: u32): u32 {
  if (type !== IPV4) return lengthOfIpv6(at, type, left)
  const length = load16(at + 2)
  return load<u8>(at) === 0x45 && length >= 20 ? length : 0
}

function lengthOfIpv6(at: usize, type: u32, left: u32): u32 {
  // ICMPv6 may be a question that ends here.
  const plain = type === IPV6 && ports6 !== 0 && <i32>left >= 40 && load<u8>(at) >> 4 === 6
  return plain && load<u8>(at, 6) !== 58 ? 40 + load16(at + 4) : 0
}

/** Takes the outer headers off likewise. */
export function leave(batch: usize, count: u32): u32 {
  const headers = headerBytes
  const ethernet = ethernetBytes
  const w0 = v128.load(wantedAt)
  const w1 = v128.load(wantedAt, 16)
  const w2 = v128.load(wantedAt, 32)
  const w3 = v128.load(wantedAt + headers - 32)
  const w4 = v128.load(wantedAt + headers - 16)
  const c0 = v128.load(caredAt)
  const c1 = v128.load(caredAt, 16)
  const c2 = ipv4 ? i32x4.splat(0) : v128.load(caredAt, 32)
  const c3 = v128.load(caredAt + headers - 32)
  const c4 = v128.load(caredAt + headers - 16)
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(batch + (i << 2))
    const start = dataOf(id)
    const sizeAt = <usize>SIZE + ((<usize>id) << 1)
    const size = <u32>load<u16>(sizeAt)
    if (size < headers + 16) return i
    const from = start + headers
    // Whatever the headers must be: one comparison for all of it.
    let other = v128.and(v128.xor(v128.load(start), w0), c0)
    other = v128.or(other, v128.and(v128.xor(v128.load(start, 16), w1), c1))
    other = v128.or(other, v128.and(v128.xor(v128.load(start, 32), w2), c2))
    other = v128.or(other, v128.and(v128.xor(v128.load(from - 32), w3), c3))
    other = v128.or(other, v128.and(v128.xor(v128.load(from - 16), w4), c4))
    if (v128.any_true(other)) return i
    const ip = start + ethernet
    const udp = ip + ipBytes
    const datagram = load16(udp + 4)
    // What is carried has at least 16 bytes.
    if (datagram < udpBytes + 16) return i
    let outer: u32
    if (ipv4) {
      const length = load16(ip + 2)
      if (datagram + 20 > length || length > size - ethernet || !headerRight(ip)) return i
      outer = load<u8>(ip, 1) & 3
    } else {
      const length = load16(ip + 4)
      if (datagram > length || length + 40 > size - ethernet) return i
      outer = (load16(ip) >>> 4) & 3
    }
    // What is marked may have to be dropped, and is rare.
    const bare = bareBytes
    const bytes = datagram - udpBytes
    let type: u32 = 0
    if (bare !== 0) {
      type = typeOf(udp, from, bytes)
      if (type === 0) return i
    } else if (outer !== 0) type = load<u16>(from, 12)
    if (outer !== 0 && !marked(from + 14 - bare, type, outer)) return i
    if (load<u16>(udp, 6) === 0) {
      if (checksums && !ipv4) return i
      move<Down, Unsummed>(start + bare, from, bytes)
    } else if (!moveIfRight(start, headers, bytes, pseudoSum + swap(datagram) + headerSum(udp))) return i
    if (bare !== 0) {
      store<u64>(start, load<u64>(frameAt))
      store<u32>(start, load<u32>(frameAt, 8), 8)
      store<u16>(start, <u16>type, 12)
    }
    store<u16>(sizeAt, <u16>(bytes + bare))
  }
  return count
}

/** EtherType of the IP packet at `at`, of `bytes` bytes, that is carried without Ethernet; 0: it is not plain. */
function typeOf(udp: usize, at: usize, bytes: u32): u32 {
  const type = load<u8>(at) >> 4 === 4 ? IPV4 : IPV6
  const port = <u32>load<u16>(udp, 2)
  return port === (type === IPV4 ? ports : ports6) >>> 16 && lengthOf(at, type, bytes) === bytes ? type : 0
}

/** The checksum of an IPv4 header without options. */
function headerRight(ip: usize): bool {
  const words: u64 =
    <u64>load<u32>(ip) +
    <u64>load<u32>(ip, 4) +
    <u64>load<u32>(ip, 8) +
    <u64>load<u32>(ip, 12) +
    <u64>load<u32>(ip, 16)
  const sum = <u32>(words >> 32) + ((<u32>words) & 0xffff) + ((<u32>words) >>> 16)
  return fold(sum) === 0xffff
}

/** Moves what is carried over its headers, unless with `sum` of these its checksum is wrong: then all is as it was. */
function moveIfRight(start: usize, headers: u32, bytes: u32, sum: u32): bool {
  const from = start + headers
  const h0 = v128.load(start)
  const h1 = v128.load(start, 16)
  const h2 = v128.load(start, 32)
  const h3 = v128.load(from - 32)
  const h4 = v128.load(from - 16)
  const to = start + bareBytes
  if (fold(sum + move<Down, Summed>(to, from, bytes)) === 0xffff) return true
  memory.copy(from, to, bytes)
  v128.store(start, h0)
  v128.store(start, h1, 16)
  v128.store(start, h2, 32)
  v128.store(from - 32, h3)
  v128.store(from - 16, h4)
  return false
}

/** The congestion mark leaves the inner packet at `at` as it is. */
function marked(at: usize, type: u32, outer: u32): bool {
  if (type !== IPV4 && type !== IPV6) return type !== VLAN
  const before: u32 = type === IPV4 ? load<u8>(at, 1) & 3 : (load16(at) >>> 4) & 3
  return <u32>load<u8>(ecnAt + ((before << 2) | outer)) === before
}
