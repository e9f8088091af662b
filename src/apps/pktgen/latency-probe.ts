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
 * number, ports (an echo's identifier and number), the stream and a random key of this run; the nonce is one byte that tells this
 * run's probes from others. Byte 48 of the frame, which `forward --touch` changes, is not looked at: the free byte, or `y` of a tagged
 * frame.
 *
 * Some of them the card stamps as well: timed-packet.ts says how those differ.
 *
 * A stamp is believed if nothing speaks against the frame: EtherType, IP header, lengths, all checksums, magic,
 * nonce, check, zeros, and a time between the start of the run and now. So what is measured was sent by this run, with these
 * ports. That also makes the count of copies exact although each worker keeps its own: RSS takes all copies of a packet
 * to the same queue, and without RSS all packets come in by the first.
 */
import type { PacketMemory } from '../../memory/packets.ts'
import { read16, write16 } from '../../packet/big-endian.ts'
import type { Bytes } from '../../packet/bytes.ts'
import { addToSum, finishSum } from '../../packet/checksum.ts'
import { IpProtocol } from '../../packet/ipv4.ts'
import { Arrivals } from './arrivals.ts'
import { bytesOf } from './frame-source.ts'
import { DAMAGED, FOREIGN, type LatencyBook, SENT } from './latency.ts'
import type { ProbeJob } from './options.ts'
import { endOf, headersHold, payloadIn, type ProbeLayout } from './probe-layout.ts'
import { holdsMessage, numberIn, VERSION } from './timed-packet.ts'
import { WireDesk } from './wire-desk.ts'

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
/** Bytes of payload that a probe needs. */
export const LEAST_PROBE = NARROW
/** What the checks are counted by: below 2^24 and 2^16. */
const WIDE_PRIME = 16_777_213
const NARROW_PRIME = 65_521
/** What a stream's number adds: for up to 16 of them, no change within one byte looks like another stream. */
const STREAM_WEIGHT = 5019
/** What the stamps are counted by. */
const WIDE_SPAN = 2 ** 48
const NARROW_SPAN = 2 ** 40
/**
 * With it turned over, 32 bits are 2^31 less than they are without a sign, and always a small integer. `>>> 0` is one for two seconds, then none for
 * two: V8 threw away the code that it had made meanwhile.
 */
const TOP_BIT = -(2 ** 31)

/** What a frame is to a stream: one of its own, one with its name whose check is wrong, or nothing known. */
const ENTERED = 0
const NAMED = 1
const STRANGE = 2
/** Of `times`. */
const STARTED = 0
const NOW = 1
/** What `forward --touch` changes. */
const TOUCHED = 48
/** Bytes from the payload on that a stamp changes, and the sum of the words that are there without one: `ixy`, zeros. */
const WIDE_BYTES = 14
const NARROW_BYTES = 10
const UNSTAMPED = 0x6978 + 0x7900

export class LatencyProbe {
  private readonly memory: PacketMemory
  private readonly bytes: Bytes
  private readonly u8: Uint8Array
  /** By stream. */
  private readonly layouts: readonly ProbeLayout[]
  private readonly books: readonly LatencyBook[]
  private readonly arrivals: readonly Arrivals[]
  private readonly key: number
  private readonly nonce: number
  /** Told of those that the card has stamped; null: there are none. */
  private readonly desk: WireDesk | null
  private readonly source: number
  /** Nanoseconds: when the run began, and when what is looked at came in. In an array, as in MonotonicClock. */
  private readonly times = new Float64Array(2)

  /** `books` and `layouts` by stream; `senders`: how many workers there are. */
  constructor(
    memory: PacketMemory,
    books: readonly LatencyBook[],
    { key, layouts, timed = null }: Pick<ProbeJob, 'key' | 'layouts'> & Partial<Pick<ProbeJob, 'timed'>>,
    senders: number,
  ) {
    this.memory = memory
    this.bytes = bytesOf(memory)
    this.u8 = memory.u8
    this.layouts = layouts
    this.books = books
    this.arrivals = books.map((book) => new Arrivals(book, senders, books.length))
    this.key = key & 0xffffff
    this.nonce = key >>> 24 === 0 ? 1 : key >>> 24 // 0 is what packets have there that are no probes
    this.desk = timed === null ? null : new WireDesk(timed.desk)
    this.source = timed?.source ?? 0
  }

  /** The run begins. `startedAt`: milliseconds of CLOCK_MONOTONIC, as are all times here. */
  begin(startedAt: number): void {
    this.times[STARTED] = Math.round(startedAt * 1e6)
  }

  /** Makes probes of the first `count` packets of `ids`, which are of stream `stream` and numbered. It is `now[0]`. */
  stamp(ids: Int32Array, count: number, stream: number, now: Float64Array): void {
    const { memory, u8, key, nonce } = this
    const { size } = memory
    const layout = this.layouts[stream]
    const { identity, checksum } = layout
    const nanoseconds = Math.round(now[0] * 1e6)
    const low = nanoseconds | 0
    const high = Math.floor(nanoseconds / 2 ** 32) | 0
    const seed = key + stream * STREAM_WEIGHT
    for (let i = 0; i < count; i++) {
      const frame = memory.dataOffset(ids[i])
      const payload = payloadIn(u8, frame, layout)
      const end = frame + size[ids[i]]
      const wide = end - payload >= WIDE
      const top = high & (wide ? 0xffff : 0xff)
      const check = checkOf(
        wide,
        seed,
        low,
        top,
        word(u8, end - SEQUENCE_BYTES),
        word(u8, payload - identity),
      )
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
      if (checksum !== 0) this.mend(payload, wide, layout)
    }
    this.books[stream].fields[SENT] += count
  }

  /** The checksum was that of the packet without stamp (RFC 1624, equation 3). */
  private mend(payload: number, wide: boolean, { checksum, protocol, hasChecksum }: ProbeLayout): void {
    const { u8 } = this
    const at = payload - checksum
    const before = (~read16(u8, at) & 0xffff) + (~UNSTAMPED & 0xffff)
    const after = finishSum(addToSum(before, u8, payload, wide ? WIDE_BYTES : NARROW_BYTES))
    const isUdp = protocol === IpProtocol.UDP || !hasChecksum
    write16(u8, at, isUdp && after === 0 ? 0xffff : after)
  }

  /** Judges the first `count` packets of `ids`, which have come in by `now[0]`, and measures the round trip of those that are ours. */
  collect(ids: Int32Array, count: number, now: Float64Array): void {
    const { memory } = this
    this.times[NOW] = Math.round(now[0] * 1e6)
    for (let i = 0; i < count; i++) {
      const frame = memory.dataOffset(ids[i])
      const end = frame + memory.size[ids[i]]
      this.find(frame, end)
    }
  }

  /** A frame belongs to the stream by whose key it checks. One that says it is ours, and checks by none, is damaged. */
  private find(frame: number, end: number): void {
    const streams = this.layouts.length
    let named = -1
    for (let stream = 0; stream < streams; stream++) {
      const verdict = this.judge(frame, end, stream)
      if (verdict === ENTERED) return
      if (verdict === NAMED) named = stream
    }
    if (named >= 0) this.books[named].fields[DAMAGED]++
    else this.books[0].fields[FOREIGN]++
  }

  /** Whether the frame was sent by this stream: then it is counted. */
  private judge(frame: number, frameEnd: number, stream: number): number {
    const { u8, key, nonce, times } = this
    const layout = this.layouts[stream]
    const payload = payloadIn(u8, frame, layout)
    // Not the frame's own end: a switch that takes a tag off fills the frame up again.
    let end = endOf(u8, payload, layout)
    let intact = end <= frameEnd && end - payload >= NARROW
    if (!intact) end = frameEnd
    if (end - payload < NARROW) return STRANGE
    const wide = end - payload >= WIDE
    const checkAt = payload + (wide ? WIDE_CHECK : NARROW_CHECK)
    const stampAt = payload + (wide ? WIDE_STAMP : NARROW_STAMP)
    const low = word(u8, stampAt)
    const top = u8[stampAt + 4] | (wide ? u8[stampAt + 5] << 8 : 0)
    const sequence = word(u8, end - SEQUENCE_BYTES)
    const seed = key + stream * STREAM_WEIGHT
    const check = checkOf(wide, seed, low, top, sequence, word(u8, payload - layout.identity))
    const found = u8[checkAt] | (u8[checkAt + 1] << 8) | (wide ? u8[payload + CHECK_HIGH] << 16 : 0)
    const checks = found === check
    const timed = u8[payload + 1] === VERSION && wide
    const named =
      u8[payload] === 0x69 &&
      (u8[payload + 1] === 0x78 || timed) &&
      (u8[payload + 2] === 0x79 || payload + 2 === frame + TOUCHED) &&
      (!wide || u8[payload + NONCE] === nonce)
    if (!checks) return named ? NAMED : STRANGE
    const span = wide ? WIDE_SPAN : NARROW_SPAN
    const stamp = top * 2 ** 32 + 2 ** 31 + (low ^ TOP_BIT)
    let age = (times[NOW] % span) - stamp
    if (age < 0) age += span
    intact &&= named && age <= times[NOW] - times[STARTED]
    intact &&= timed
      ? holdsMessage(u8, payload, end, this.source)
      : isZero(this.bytes, stampAt + (wide ? 6 : 5), end - SEQUENCE_BYTES)
    if (intact && headersHold(this.bytes, payload, end, layout)) {
      this.arrivals[stream].enter(sequence, age)
      if (timed) this.desk?.back(numberIn(u8, payload), age)
    } else this.books[stream].fields[DAMAGED]++
    return ENTERED
  }
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
