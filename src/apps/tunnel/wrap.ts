/**
 * Puts outer headers in front of a packet, where it lies: the packet moves towards the end of its buffer. (A card takes and
 * gives packets at one place of a buffer; a move of 1500 bytes costs less than the lines of a second buffer.)
 */
import type { Words } from '../../packet/checksum.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { specialise } from '../../specialise.ts'
import type { Headers } from './headers.ts'
import type { TunnelJob } from './job.ts'

/**
 * Encapsulates the `bytes` bytes at `from` as packet `id` of `network`. `trafficClass`: that of the inner packet; 0 if it is not
 * IP. `hash`: of its flow. `port`: where it goes.
 */
export type Wrap = (
  id: number,
  from: number,
  bytes: number,
  network: number,
  trafficClass: number,
  hash: number,
  port: number,
) => void

export function makeWrap(
  memory: PacketMemory,
  words: Words,
  headers: Headers,
  job: TunnelJob,
  sumWords: (words: Words, offset: number, length: number) => number,
): Wrap {
  const { layout } = headers
  const dscpMask = job.dscp === null ? 0xff : 3
  return specialise(wrapper)(memory, words, headers, {
    ...layout,
    ipv4: job.local.length === 4,
    classMask: dscpMask,
    checksum: job.udpChecksum,
    sumWords,
  })
}

interface WrapSettings {
  readonly ethernet: number
  readonly ip: number
  readonly all: number
  readonly ipv4: boolean
  /** Bits of the inner traffic class that the outer one takes over. */
  readonly classMask: number
  readonly checksum: boolean
  readonly sumWords: (words: Words, offset: number, length: number) => number
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each worker. */
function wrapper(memory: PacketMemory, words: Words, headers: Headers, settings: WrapSettings): Wrap {
  const { size } = memory
  const { u8, u16, i32 } = words
  const { ipSums, pseudoSums } = headers
  const { ethernet, ip, all, ipv4, classMask, checksum, sumWords } = settings
  const templates = new Int32Array(headers.u8.buffer)
  const halves = new Uint16Array(headers.u8.buffer)
  const stride = headers.stride >> 2
  const whole = all >> 2
  const odd = (all & 2) !== 0
  const udpAt = ethernet + ip

  function wrap(
    id: number,
    from: number,
    bytes: number,
    network: number,
    trafficClass: number,
    hash: number,
    port: number,
  ): void {
    const start = memory.dataOffset(id)
    u8.copyWithin((start + all) | 0, from, (from + bytes) | 0)
    size[id] = all + bytes
    const word = start >> 2
    const template = Math.imul(network, stride)
    for (let i = 0; i < whole; i++) i32[(word + i) | 0] = templates[(template + i) | 0]
    if (odd) u16[((word + whole) << 1) | 0] = halves[((template + whole) << 1) | 0]
    const at = (start + ethernet) | 0
    const length = (all - ethernet + bytes) | 0
    if (ipv4) writeIpv4(at, length, trafficClass & classMask, ipSums[network])
    else writeIpv6(at, length - ip, trafficClass & classMask, hash)
    writeUdp((start + udpAt) | 0, (length - ip) | 0, hash, port)
    if (checksum) fillChecksum((start + udpAt) | 0, (length - ip) | 0, pseudoSums[network])
  }

  function writeIpv4(at: number, length: number, trafficClass: number, ipSum: number): void {
    u8[at + 1] |= trafficClass
    u8[at + 2] = length >> 8
    u8[at + 3] = length
    // The template has neither, and of the class other bits.
    const sum = (ipSum + trafficClass + length) | 0
    const once = (sum & 0xffff) + (sum >>> 16)
    const sent = ~(once + (once >>> 16))
    u8[at + 10] = sent >> 8
    u8[at + 11] = sent
  }

  /** The flow label is for routers that share out flows (RFC 6438). */
  function writeIpv6(at: number, length: number, trafficClass: number, hash: number): void {
    u8[at] |= trafficClass >> 4
    u8[at + 1] |= ((trafficClass << 4) & 0xf0) | (hash >>> 28)
    u8[at + 2] = hash >> 20
    u8[at + 3] = hash >> 12
    u8[at + 4] = length >> 8
    u8[at + 5] = length
  }

  function writeUdp(udp: number, length: number, hash: number, port: number): void {
    // 49152 to 65535 (RFC 7348 §5, RFC 8926 §3.3).
    u8[udp] = 0xc0 | (hash & 0x3f)
    u8[udp + 1] = hash >>> 8
    u8[udp + 2] = port >> 8
    u8[udp + 3] = port
    u8[udp + 4] = length >> 8
    u8[udp + 5] = length
  }

  function fillChecksum(udp: number, length: number, pseudoSum: number): void {
    const sum = (pseudoSum + length + sumWords(words, udp, length)) | 0
    const once = (sum & 0xffff) + (sum >>> 16)
    const sent = ~(once + (once >>> 16)) & 0xffff
    // 0 would mean that there is none (RFC 768).
    u8[udp + 6] = sent === 0 ? 0xff : sent >> 8
    u8[udp + 7] = sent === 0 ? 0xff : sent
  }

  return wrap
}
