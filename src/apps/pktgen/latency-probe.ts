/**
 * pktgen's packets as probes: stamped when they are sent, measured when they come back.
 *
 *     payload  0    3     4       6     7     8       14            end - 4
 *              ┌────┬─────┬───────┬─────┬─────┬───────┬─ ─ ─ ─ ─ ─ ─┬──────────┐
 *              │ixy │nonce│ check │free │check│ stamp │ zeros       │ sequence │   18 bytes and more
 *              └────┴─────┴───────┴─────┴─────┴───────┴─ ─ ─ ─ ─ ─ ─┴──────────┘
 *              │ixy │ check │ stamp        │ zeros     │ sequence │              14 to 17 bytes: tagged, 60 to 63
 *              0    3       5              10          end - 4
 *
 * All of it little-endian. The stamp is CLOCK_MONOTONIC in nanoseconds, its lowest 48 bits (40): it comes around after
 * three days (18 minutes), and only a round trip that takes longer would be mistaken. The check is over stamp, sequence
 * number, UDP ports and a random key of this run; the nonce is one byte that tells this run's probes from others.
 * Byte 48 of the frame, which `forward --touch` changes, is not looked at: the free byte, or `y` of a tagged frame.
 *
 * A stamp is believed if nothing speaks against the frame: EtherType, the IPv4 header's checksum, UDP's length, magic,
 * nonce, check, zeros, and a time between the start of the run and now. So what is measured was sent by this run, with these addresses
 * and ports. That also makes the count of copies exact although each worker keeps its own: RSS takes all copies of a packet
 * to the same queue, and without RSS all packets come in by the first.
 */
import { DAMAGED, DUPLICATED, FOREIGN, LATE, type LatencyBook, SENT } from './latency.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { Bytes } from '../../packet/bytes.ts'
import { internetChecksum } from '../../packet/checksum.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { HEADER_BYTES as IP_HEADER_BYTES } from '../../packet/ipv4.ts'
import { bytesOf } from './frame-source.ts'

/** From the payload back to the fields of IPv4 and UDP in front of it. */
const IP = -28
const IP_TOTAL_LENGTH = -26
const PORTS = -8
const UDP_LENGTH = -4
const UDP_CHECKSUM = -2
const PAYLOAD = HEADER_BYTES - IP

const NONCE = 3
const WIDE_CHECK = 4
const NARROW_CHECK = 3
const CHECK_HIGH = 7
const WIDE_STAMP = 8
const NARROW_STAMP = 5
/** Bytes of payload from which on there is room for everything. */
const WIDE = 18
const NARROW = 14
const SEQUENCE_BYTES = 4
/** What the checks are counted by: below 2^24 and 2^16. */
const WIDE_PRIME = 16_777_213
const NARROW_PRIME = 65_521
/** What the stamps are counted by. */
const WIDE_SPAN = 2 ** 48
const NARROW_SPAN = 2 ** 40

/** Sequence numbers back from the newest for which copies are known, a bit each: 4.5 s at 14.88 Mpps. */
const WINDOW_BITS = 1 << 26
const WINDOW_WORDS = WINDOW_BITS >>> 5

export class LatencyProbe {
  private readonly memory: PacketMemory
  private readonly bytes: Bytes
  private readonly u8: Uint8Array
  private readonly book: LatencyBook
  private readonly key: number
  private readonly nonce: number
  /** When the run began, nanoseconds. */
  private start = 0
  /** Which sequence numbers have come back. A word is cleared when the newest one enters it. */
  private readonly seen: Uint32Array
  private newest = 0

  constructor(memory: PacketMemory, book: LatencyBook, key: number) {
    this.memory = memory
    this.bytes = bytesOf(memory)
    this.u8 = memory.u8
    this.book = book
    this.key = key & 0xffffff
    this.nonce = key >>> 24 === 0 ? 1 : key >>> 24 // 0 is what packets have there that are no probes
    this.seen = new Uint32Array(WINDOW_WORDS)
  }

  /** The run begins. `startedAt`: milliseconds of CLOCK_MONOTONIC, as are all times here. */
  begin(startedAt: number): void {
    this.start = Math.round(startedAt * 1e6)
  }

  /** Makes probes of the first `count` packets of `ids`, which are pktgen's and numbered. */
  stamp(ids: Int32Array, count: number, now: number): void {
    const { memory, u8, key, nonce } = this
    const { size } = memory
    const nanoseconds = Math.round(now * 1e6)
    const low = nanoseconds | 0
    const high = Math.floor(nanoseconds / 2 ** 32) | 0
    for (let i = 0; i < count; i++) {
      const frame = memory.dataOffset(ids[i])
      const payload = frame + payloadIn(u8, frame)
      const end = frame + size[ids[i]]
      const wide = end - payload >= WIDE
      const top = high & (wide ? 0xffff : 0xff)
      const check = checkOf(wide, key, low, top, word(u8, end - SEQUENCE_BYTES), word(u8, payload + PORTS))
      const checkAt = payload + (wide ? WIDE_CHECK : NARROW_CHECK)
      const stampAt = payload + (wide ? WIDE_STAMP : NARROW_STAMP)
      u8[checkAt] = check
      u8[checkAt + 1] = check >>> 8
      u8[stampAt] = low
      u8[stampAt + 1] = low >>> 8
      u8[stampAt + 2] = low >>> 16
      u8[stampAt + 3] = low >>> 24
      u8[stampAt + 4] = top
      if (wide) {
        u8[stampAt + 5] = top >>> 8
        u8[payload + CHECK_HIGH] = check >>> 16
        u8[payload + NONCE] = nonce
      }
    }
    this.book.fields[SENT] += count
  }

  /** Judges the first `count` packets of `ids`, which have come in, and measures the round trip of those that are ours. */
  collect(ids: Int32Array, count: number, now: number): void {
    const { memory } = this
    const nanoseconds = Math.round(now * 1e6)
    for (let i = 0; i < count; i++) {
      const frame = memory.dataOffset(ids[i])
      this.judge(frame, frame + memory.size[ids[i]], nanoseconds)
    }
  }

  private judge(frame: number, frameEnd: number, now: number): void {
    const { u8, book, key, nonce } = this
    const payload = frame + payloadIn(u8, frame)
    // Not the frame's own end: a switch that takes a tag off fills the frame up again.
    let end = payload + IP + u8[payload + IP_TOTAL_LENGTH] * 256 + u8[payload + IP_TOTAL_LENGTH + 1]
    let intact = end <= frameEnd && end - payload >= NARROW
    if (!intact) end = frameEnd
    if (end - payload < NARROW) {
      book.fields[FOREIGN]++
      return
    }
    const wide = end - payload >= WIDE
    const checkAt = payload + (wide ? WIDE_CHECK : NARROW_CHECK)
    const stampAt = payload + (wide ? WIDE_STAMP : NARROW_STAMP)
    const low = word(u8, stampAt)
    const top = u8[stampAt + 4] | (wide ? u8[stampAt + 5] << 8 : 0)
    const sequence = word(u8, end - SEQUENCE_BYTES)
    const check = checkOf(wide, key, low, top, sequence, word(u8, payload + PORTS))
    const found = u8[checkAt] | (u8[checkAt + 1] << 8) | (wide ? u8[payload + CHECK_HIGH] << 16 : 0)
    const checks = found === check
    const named =
      u8[payload] === 0x69 &&
      u8[payload + 1] === 0x78 &&
      (u8[payload + 2] === 0x79 || payload - frame !== PAYLOAD) &&
      (!wide || u8[payload + NONCE] === nonce)
    if (!checks && !named) {
      book.fields[FOREIGN]++
      return
    }
    const span = wide ? WIDE_SPAN : NARROW_SPAN
    const stamp = (low >>> 0) + top * 2 ** 32
    let age = (now % span) - stamp
    if (age < 0) age += span
    intact &&= checks && named && age <= now - this.start
    if (intact && this.isUnchanged(payload, stampAt + (wide ? 6 : 5), end)) this.enter(sequence, age)
    else book.fields[DAMAGED]++
  }

  /** What the check isn't over: headers, as pktgen makes them (a router may have changed addresses and TTL), and zeros. */
  private isUnchanged(payload: number, zeros: number, end: number): boolean {
    const { u8, bytes } = this
    const ip = payload + IP
    return (
      u8[ip - 2] === 0x08 &&
      u8[ip - 1] === 0x00 &&
      u8[ip] === 0x45 &&
      internetChecksum(u8, ip, IP_HEADER_BYTES) === 0 &&
      u8[payload + UDP_LENGTH] * 256 + u8[payload + UDP_LENGTH + 1] === end - payload - PORTS &&
      (u8[payload + UDP_CHECKSUM] | u8[payload + UDP_CHECKSUM + 1]) === 0 &&
      isZero(bytes, zeros, end - SEQUENCE_BYTES)
    )
  }

  /** An intact probe: the first of its number, a copy, or too old to tell. */
  private enter(sequence: number, age: number): void {
    const { seen, book } = this
    const ahead = (sequence - this.newest) | 0
    if (ahead <= 32 - WINDOW_BITS) {
      book.fields[LATE]++
      return
    }
    if (ahead > 0) {
      const entered = ((sequence >>> 5) - (this.newest >>> 5)) & 0x7ffffff
      for (let i = Math.min(entered, WINDOW_WORDS); i > 0; i--)
        seen[((sequence >>> 5) - i + 1) & (WINDOW_WORDS - 1)] = 0
      this.newest = sequence
    }
    const at = (sequence >>> 5) & (WINDOW_WORDS - 1)
    const bit = 1 << (sequence & 31)
    if ((seen[at] & bit) !== 0) {
      book.fields[DUPLICATED]++
    } else {
      seen[at] |= bit
      book.measured(age)
    }
  }
}

/** Where the payload of a frame of pktgen's begins: behind Ethernet, IPv4 and UDP headers, or a VLAN tag as well. */
function payloadIn(u8: Uint8Array, frame: number): number {
  return u8[frame + 12] === 0x81 && u8[frame + 13] === 0 ? PAYLOAD + VLAN_TAG_BYTES : PAYLOAD
}

function isZero({ u8, u32 }: Bytes, from: number, end: number): boolean {
  let bits = 0
  let at = from
  for (; at < end && (at & 3) !== 0; at++) bits |= u8[at]
  for (; at + 4 <= end; at += 4) bits |= u32[at >>> 2]
  for (; at < end; at++) bits |= u8[at]
  return bits === 0
}

function word(u8: Uint8Array, at: number): number {
  return u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24)
}

/**
 * A sum of weighted halves of the words, modulo a prime: no change within one byte leaves it as it was, and any other change
 * does with a probability of one in the prime. The weights are such that the sum stays below 2^31.
 */
function checkOf(
  wide: boolean,
  key: number,
  low: number,
  top: number,
  sequence: number,
  ports: number,
): number {
  const sum =
    key +
    (low & 0xffff) * 4093 +
    (low >>> 16) * 4001 +
    top * 3907 +
    (sequence & 0xffff) * 3803 +
    (sequence >>> 16) * 3701 +
    (ports & 0xffff) * 3607 +
    (ports >>> 16) * 3511
  return wide ? sum % WIDE_PRIME : sum % NARROW_PRIME
}
