/**
 * AssemblyScript, compiled to WebAssembly: the way of plain packets into a tunnel of VXLAN or Geneve and out of it. What ../enter.ts,
 * ../wrap.ts, ../leave.ts and ../deliver.ts do with them, in the same order; whatever is not plain is left to those, as it was.
 *
 * Plain is what belongs to the network without a VLAN, and has nothing wrong with it. Addresses are bytes from the start of the
 * memory that is shared with JavaScript.
 */
import { SIZE } from '../../../memory/wasm-layout'

let packetsAt: usize = 0
let bufferShift: u32 = 0
/** The outer headers, ready but for what differs from packet to packet: of packets that go, and of those that come. */
let headerAt: usize = 0
let headerBytes: u32 = 0
let ethernetBytes: u32 = 0
let ipv4: bool = false
let vxlan: bool = false
let ipSum: u32 = 0
let pseudoSum: u32 = 0
let classMask: u32 = 0
let checksums: bool = false
let longest: u32 = 0
let ecnAt: usize = 0

/** `header`: that of packets to the other end. `ecn`: see ECN_AFTER_TUNNEL. */
export function start(
  packets: usize,
  shift: u32,
  header: usize,
  bytes: u32,
  ethernet: u32,
  isIpv4: bool,
  isVxlan: bool,
  mask: u32,
  withChecksums: bool,
  ecn: usize,
): void {
  packetsAt = packets
  bufferShift = shift
  headerAt = header
  headerBytes = bytes
  ethernetBytes = ethernet
  ipv4 = isIpv4
  vxlan = isVxlan
  classMask = mask
  checksums = withChecksums
  ecnAt = ecn
}

/** The headers have changed. `most`: of a frame with them. */
export function change(ipHeaderSum: u32, pseudoHeaderSum: u32, most: u32): void {
  ipSum = ipHeaderSum
  pseudoSum = pseudoHeaderSum
  longest = most
}

function dataOf(id: u32): usize {
  return packetsAt + ((<usize>id) << bufferShift) + 64 + ((id & 7) << 6)
}

function load16(at: usize): u32 {
  return bswap<u16>(load<u16>(at))
}

function store16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value))
}

function fold(sum: u32): u32 {
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

/** Sum of 16-bit words, folded; see sumWords(). WebAssembly is little-endian everywhere. */
function sumOf(from: usize, bytes: u32): u32 {
  let at = from
  const end = from + <usize>bytes
  let many = i32x4.splat(0)
  for (; at + 16 <= end; at += 16) many = i32x4.add(many, i32x4.extadd_pairwise_i16x8_u(v128.load(at)))
  let sum: u64 =
    <u64>(<u32>i32x4.extract_lane(many, 0)) +
    <u64>(<u32>i32x4.extract_lane(many, 1)) +
    <u64>(<u32>i32x4.extract_lane(many, 2)) +
    <u64>(<u32>i32x4.extract_lane(many, 3))
  for (; at + 4 <= end; at += 4) sum += load<u32>(at)
  if (at + 2 <= end) {
    sum += load<u16>(at)
    at += 2
  }
  if (at < end) sum += load<u8>(at)
  sum = (sum & 0xffff_ffff) + (sum >> 32)
  sum = (sum & 0xffff_ffff) + (sum >> 32)
  return bswap<u16>(<u16>fold(<u32>sum))
}

/** Up to this many bytes a loop is faster than the call of memory.copy. */
const SHORT: u32 = 256

/** Moves towards the end by more than 16 bytes: from the back, as both places may overlap. At least 14 bytes, of which 2 behind may be read. */
function moveUp(to: usize, from: usize, bytes: u32): void {
  if (bytes < 16 || bytes > SHORT) return memory.copy(to, from, bytes)
  for (let left = bytes; left >= 16; left -= 16) v128.store(to + left - 16, v128.load(from + left - 16))
  v128.store(to, v128.load(from))
}

/** The same towards the beginning. */
function moveDown(to: usize, from: usize, bytes: u32): void {
  if (bytes < 16 || bytes > SHORT) return memory.copy(to, from, bytes)
  for (let done: u32 = 0; done + 16 <= bytes; done += 16) v128.store(to + done, v128.load(from + done))
  v128.store(to + bytes - 16, v128.load(from + bytes - 16))
}

function mix(hash: u32, word: u32): u32 {
  return (hash ^ word) * 0x01000193
}

function finish(hash: u32): u32 {
  const once = (hash ^ (hash >>> 16)) * 0x85ebca6b
  return once ^ (once >>> 13)
}

const SEED: u32 = 0x811c9dc5

/** See hashFrame(); `at`: what is behind the Ethernet header. */
function hashOf(start: usize, at: usize, type: u32, left: u32): u32 {
  if (type !== 0x0800 && type !== 0x86dd) {
    let hash = type ^ SEED
    for (let i: usize = 0; i < 12; i += 2) hash = mix(hash, load<u16>(start + i))
    return finish(hash)
  }
  const version = load<u8>(at) >> 4
  let protocol: u32
  let ports: u32
  let hash: u32
  if (version === 4 && left >= 20) {
    protocol = load<u8>(at, 9)
    hash = mix(mix(protocol ^ SEED, load<u16>(at, 12)), load<u16>(at, 14))
    hash = mix(mix(hash, load<u16>(at, 16)), load<u16>(at, 18))
    if ((load<u16>(at, 6) & 0xff3f) !== 0) return finish(hash)
    ports = (<u32>(load<u8>(at) & 0xf)) << 2
  } else if (version === 6 && left >= 40) {
    protocol = load<u8>(at, 6)
    hash = protocol ^ SEED
    for (let i: usize = 8; i < 40; i += 2) hash = mix(hash, load<u16>(at + i))
    ports = 40
  } else return 0
  const known = protocol === 6 || protocol === 17 || protocol === 132
  if (!known || <i32>(left - ports) < 4) return finish(hash)
  const place = at + ports
  return finish(mix(mix(hash ^ SEED, load<u16>(place)), load<u16>(place, 2)))
}

/** Encapsulates the packets whose ids are the 32-bit words from `batch` on, `count` of them, up to the first that isn't plain. Returns how many. */
export function enter(batch: usize, count: u32): u32 {
  // Globals are in memory.
  const header = headerAt
  const headers = headerBytes
  const ethernet = ethernetBytes
  const most = longest
  const mask = classMask
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(batch + (i << 2))
    const start = dataOf(id)
    const sizeAt = <usize>SIZE + ((<usize>id) << 1)
    const bytes = <u32>load<u16>(sizeAt)
    const type = load16(start + 12)
    if (bytes < 14 || type === 0x8100 || headers + bytes > most) return i
    const at = start + 14
    const left = bytes - 14
    let trafficClass: u32 = 0
    if (type === 0x0800 && left >= 20) trafficClass = load<u8>(at, 1)
    else if (type === 0x86dd && left >= 40) trafficClass = (load16(at) >>> 4) & 0xff
    const hash = hashOf(start, at, type, left)
    moveUp(start + headers, start, bytes)
    putHeader(start, header, headers)
    store<u16>(sizeAt, <u16>(headers + bytes))
    finishHeaders(start + ethernet, headers - ethernet + bytes, trafficClass & mask, hash)
  }
  return count
}

/** By 16 bytes; there are no fewer. */
function putHeader(to: usize, from: usize, bytes: u32): void {
  v128.store(to, v128.load(from))
  v128.store(to, v128.load(from, 16), 16)
  for (let done: u32 = 32; done + 16 <= bytes; done += 16) v128.store(to + done, v128.load(from + done))
  v128.store(to + bytes - 16, v128.load(from + bytes - 16))
}

function finishHeaders(ip: usize, length: u32, trafficClass: u32, hash: u32): void {
  const ipBytes: u32 = ipv4 ? 20 : 40
  if (ipv4) {
    store<u8>(ip, load<u8>(ip, 1) | (<u8>trafficClass), 1)
    store16(ip + 2, length)
    store16(ip + 10, ~fold(ipSum + trafficClass + length))
  } else {
    store16(ip, load16(ip) | (trafficClass << 4) | (hash >>> 28))
    store16(ip + 2, hash >>> 12)
    store16(ip + 4, length - ipBytes)
  }
  const udp = ip + ipBytes
  const datagram = length - ipBytes
  store16(udp, 0xc000 | (hash & 0x3fff))
  store16(udp + 4, datagram)
  if (!checksums) return
  const sent = ~fold(pseudoSum + datagram + sumOf(udp, datagram)) & 0xffff
  store16(udp + 6, sent === 0 ? 0xffff : sent)
}

/** Takes the outer headers off likewise. */
export function leave(batch: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) if (!leaveOne(load<u32>(batch + (i << 2)))) return i
  return count
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

function leaveOne(id: u32): bool {
  const start = dataOf(id)
  const sizeAt = <usize>SIZE + ((<usize>id) << 1)
  const size = <u32>load<u16>(sizeAt)
  const ipBytes: u32 = ipv4 ? 20 : 40
  // From the other end to us: the addresses of our own headers the other way round.
  if (size < headerBytes + 14) return false
  if (load<u32>(start) !== load<u32>(headerAt, 6) || load<u16>(start, 4) !== load<u16>(headerAt, 10))
    return false
  if (ethernetBytes === 18) {
    if (load<u16>(start, 12) !== load<u16>(headerAt, 12)) return false
    if ((load16(start + 14) & 0xfff) !== load16(headerAt + 14)) return false
  }
  const ip = start + ethernetBytes
  if (load16(ip - 2) !== <u32>(ipv4 ? 0x0800 : 0x86dd)) return false
  const ours = headerAt + ethernetBytes
  const udp = ip + ipBytes
  let length: u32
  let outer: u32
  if (ipv4) {
    // No options, no fragment, UDP.
    if (load<u8>(ip) !== 0x45 || (load16(ip + 6) & 0x3fff) !== 0 || load<u8>(ip, 9) !== 17) return false
    if (load<u32>(ip, 12) !== load<u32>(ours, 16) || load<u32>(ip, 16) !== load<u32>(ours, 12)) return false
    length = load16(ip + 2)
    if (length < 20 || length > size - ethernetBytes || !headerRight(ip)) return false
    outer = load<u8>(ip, 1) & 3
    length -= 20
  } else {
    if (load<u8>(ip) >> 4 !== 6 || load<u8>(ip, 6) !== 17) return false
    for (let at: usize = 0; at < 16; at += 8) {
      if (load<u64>(ip + at, 8) !== load<u64>(ours + at, 24)) return false
      if (load<u64>(ip + at, 24) !== load<u64>(ours + at, 8)) return false
    }
    length = load16(ip + 4)
    if (length + 40 > size - ethernetBytes) return false
    outer = (load16(ip) >>> 4) & 3
  }
  const datagram = load16(udp + 4)
  if (datagram < 16 + 14 || datagram > length || load<u16>(udp, 2) !== load<u16>(ours + ipBytes, 2))
    return false
  if (load<u16>(udp, 6) !== 0) {
    if (fold(pseudoSum + datagram + sumOf(udp, datagram)) !== 0xffff) return false
  } else if (checksums && !ipv4) return false
  // Flags or version, options, protocol: as we send them, but that VXLAN's other bits are ignored.
  const tunnel = udp + 8
  if (vxlan) {
    if ((load<u8>(tunnel) & 0x08) === 0) return false
  } else if (load<u32>(tunnel) !== load<u32>(ours + ipBytes, 8)) return false
  if (
    load<u16>(tunnel, 4) !== load<u16>(ours + ipBytes, 12) ||
    load<u8>(tunnel, 6) !== load<u8>(ours + ipBytes, 14)
  )
    return false
  // What is marked may have to be dropped, and is rare.
  const from = tunnel + 8
  if (outer !== 0 && !marked(from + 14, load16(from + 12), outer)) return false
  const bytes = datagram - 16
  moveDown(start, from, bytes)
  store<u16>(sizeAt, <u16>bytes)
  return true
}

/** The congestion mark leaves the inner packet at `at` as it is. */
function marked(at: usize, type: u32, outer: u32): bool {
  if (type !== 0x0800 && type !== 0x86dd) return type !== 0x8100
  const before: u32 = type === 0x0800 ? load<u8>(at, 1) & 3 : (load16(at) >>> 4) & 3
  return <u32>load<u8>(ecnAt + ((before << 2) | outer)) === before
}
