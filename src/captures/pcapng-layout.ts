/**
 * How pcapng (IETF draft-ietf-opsawg-pcapng) is written: one section, one interface, little-endian, nanoseconds.
 *
 *     section header │ interface │ packet │ packet │ … │ interface statistics
 *
 * Every block is a multiple of 4 bytes long, and so is every file.
 */
import { realtime } from '../linux/realtime.ts'
import { type Bytes, copyBytes } from '../packet/bytes.ts'
import { LINKTYPE_ETHERNET, MAGIC_PCAPNG } from '../packet/pcap.ts'
import type { CaptureCounts } from './counts.ts'
import type { Draft, Layout, Stamp } from './layout.ts'
import type { InterfaceFacts } from './messages.ts'

const BYTE_ORDER_MAGIC = 0x1a2b_3c4d
const Block = { INTERFACE: 1, STATISTICS: 5, ENHANCED_PACKET: 6 } as const
/** Section header: shb_userappl. Interface: if_…. Packet: epb_…. Statistics: isb_…. (§3.5, 4.1 to 4.6) */
const Option = {
  USER_APPLICATION: 4,
  NAME: 2,
  SPEED: 8,
  TIME_RESOLUTION: 9,
  FILTER: 11,
  DROP_COUNT: 4,
  QUEUE: 6,
  START_TIME: 2,
  END_TIME: 3,
  RECEIVED: 4,
  INTERFACE_DROPPED: 5,
  FILTER_ACCEPTED: 6,
  SYSTEM_DROPPED: 7,
  DELIVERED: 8,
} as const
/** 10^-9 s. */
const NANOSECONDS = 9
/** Type, length, interface, time, two lengths. */
const PACKET_HEADER = 28
const TOTAL_LENGTH = 4
/** Of an option: number and length. */
const OPTION_HEADER = 4
const NO_SECOND = -1

export class PcapngLayout implements Layout {
  readonly least = PACKET_HEADER + TOTAL_LENGTH
  /** With filling, both options and their end. */
  readonly most = PACKET_HEADER + TOTAL_LENGTH + 3 + 12 + 8 + OPTION_HEADER
  private readonly snapLength: number
  private readonly facts: InterfaceFacts
  private readonly counts: CaptureCounts
  private readonly startedAt = realtime()
  private readonly stamp64 = new Stamp64()

  /** `counts`: for the statistics at the end of each file. Its packets tell their queue if there are several. */
  constructor(snapLength: number, facts: InterfaceFacts, counts: CaptureCounts) {
    this.snapLength = snapLength
    this.facts = facts
    this.counts = counts
  }

  header(draft: Draft): number {
    const { facts } = this
    const section = new BlockWriter(draft, 0, MAGIC_PCAPNG)
    section.u32(BYTE_ORDER_MAGIC)
    // Version 1.0.
    section.u32(1)
    // The section's length isn't known: -1.
    section.u32(0xffff_ffff)
    section.u32(0xffff_ffff)
    section.text(Option.USER_APPLICATION, facts.program)
    const face = new BlockWriter(draft, section.end(), Block.INTERFACE)
    face.u32(LINKTYPE_ETHERNET)
    face.u32(this.snapLength)
    face.text(Option.NAME, facts.name)
    if (facts.bitsPerSecond > 0) face.number(Option.SPEED, facts.bitsPerSecond)
    face.bytes(Option.TIME_RESOLUTION, Uint8Array.of(NANOSECONDS))
    // Its first byte says of what kind: 0 is a filter of libpcap's as text.
    if (facts.filter !== '') face.text(Option.FILTER, `\0${facts.filter}`)
    return face.end()
  }

  record(draft: Draft, at: number, from: Bytes, offset: number, length: number, stamp: Stamp): number {
    const { u32 } = draft
    const { stamp64 } = this
    stamp64.set(stamp.seconds, stamp.nanoseconds)
    const begin = at >>> 2
    u32[begin] = Block.ENHANCED_PACKET
    u32[begin + 2] = 0
    u32[begin + 3] = stamp64.high
    u32[begin + 4] = stamp64.low
    u32[begin + 5] = length
    u32[begin + 6] = stamp.originalLength
    const words = (length + 3) >>> 2
    let end = begin + (PACKET_HEADER >>> 2) + words
    // The filling is zero.
    if (words > 0) u32[end - 1] = 0
    copyBytes(from, offset, draft, at + PACKET_HEADER, length)
    const severalQueues = this.counts.queues > 1
    if (stamp.drops > 0) {
      u32[end++] = Option.DROP_COUNT | (8 << 16)
      u32[end++] = stamp.drops
      u32[end++] = 0
    }
    if (severalQueues) {
      u32[end++] = Option.QUEUE | (4 << 16)
      u32[end++] = stamp.queue
    }
    if (severalQueues || stamp.drops > 0) u32[end++] = 0
    end++
    const total = (end - begin) << 2
    u32[begin + 1] = total
    u32[end - 1] = total
    return end << 2
  }

  trailer(draft: Draft, at: number, packets: number): number {
    const { counts, stamp64 } = this
    const now = realtime()
    stamp64.set(now.seconds, now.nanoseconds)
    const block = new BlockWriter(draft, at, Block.STATISTICS)
    block.u32(0)
    block.u32(stamp64.high)
    block.u32(stamp64.low)
    block.time(Option.END_TIME, stamp64)
    stamp64.set(this.startedAt.seconds, this.startedAt.nanoseconds)
    block.time(Option.START_TIME, stamp64)
    const { received, filteredOut, dropped, missed } = counts.totals()
    block.number(Option.RECEIVED, received)
    if (missed !== null) block.number(Option.INTERFACE_DROPPED, missed)
    block.number(Option.FILTER_ACCEPTED, received - filteredOut)
    block.number(Option.SYSTEM_DROPPED, dropped)
    block.number(Option.DELIVERED, packets)
    return block.end()
  }
}

/** Nanoseconds since 1970 as two words: a double doesn't hold them. */
class Stamp64 {
  high = 0
  low = 0
  private second = NO_SECOND
  private secondHigh = 0
  private secondLow = 0

  set(seconds: number, nanoseconds: number): void {
    if (seconds !== this.second) this.setSecond(seconds)
    const low = this.secondLow + nanoseconds
    const carry = low >= 2 ** 32
    this.low = carry ? low - 2 ** 32 : low
    this.high = carry ? this.secondHigh + 1 : this.secondHigh
  }

  /** Multiplies by 10^9 in two halves, each of which a double holds. */
  private setSecond(seconds: number): void {
    const upper = Math.floor(seconds / 65_536) * 1e9
    const lower = (seconds % 65_536) * 1e9 + (upper % 65_536) * 65_536
    this.second = seconds
    this.secondHigh = Math.floor(upper / 65_536) + Math.floor(lower / 2 ** 32)
    this.secondLow = lower % 2 ** 32
  }
}

/** Writes one block with its options. Not for packets. */
class BlockWriter {
  private readonly draft: Draft
  private readonly begin: number
  private at: number
  private options = false

  constructor(draft: Draft, begin: number, type: number) {
    this.draft = draft
    this.begin = begin
    this.at = begin
    this.u32(type)
    this.u32(0)
  }

  u32(value: number): void {
    this.draft.view.setUint32(this.at, value, true)
    this.at += 4
  }

  bytes(option: number, bytes: Uint8Array): void {
    this.options = true
    this.u32(option | (bytes.length << 16))
    const filled = (bytes.length + 3) & ~3
    this.draft.u8.fill(0, this.at, this.at + filled)
    this.draft.u8.set(bytes, this.at)
    this.at += filled
  }

  /** As UTF-8; what is longer than an option may be is cut. */
  text(option: number, text: string): void {
    this.bytes(option, Buffer.from(text).subarray(0, 0xffff))
  }

  /** A whole number in 64 bits. */
  number(option: number, value: number): void {
    this.options = true
    this.u32(option | (8 << 16))
    this.u32(value % 2 ** 32)
    this.u32(Math.floor(value / 2 ** 32))
  }

  /** Unlike other numbers of 64 bits, times have their upper half first. */
  time(option: number, { high, low }: Stamp64): void {
    this.options = true
    this.u32(option | (8 << 16))
    this.u32(high)
    this.u32(low)
  }

  /** Returns where the block ends. */
  end(): number {
    if (this.options) this.u32(0)
    const total = this.at + 4 - this.begin
    this.u32(total)
    this.draft.view.setUint32(this.begin + 4, total, true)
    return this.at
  }
}
