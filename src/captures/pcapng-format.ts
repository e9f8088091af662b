/**
 * pcapng files (IETF draft-ietf-opsawg-pcapng): sections of blocks, each section in its own byte order, with its own
 * interfaces.
 *
 *     0      4        8                                  total length
 *     +------+--------+------------------------+--------+
 *     | type | total  | body, to 32 bits       | total  |
 *     |      | length |                        | length |
 *     +------+--------+------------------------+--------+
 */
import { MAX_CAPTURED_BYTES, MAGIC_PCAPNG } from '../packet/pcap.ts'
import { type CapturedPacket, captureError, type Format } from './packet.ts'
import type { Window } from './window.ts'

const BYTE_ORDER_MAGIC = 0x1a2b_3c4d
const BLOCK_OVERHEAD = 12
const BODY = 8
const Block = { INTERFACE: 1, OBSOLETE_PACKET: 2, SIMPLE_PACKET: 3, ENHANCED_PACKET: 6 } as const
const isKnown = (type: number): boolean =>
  type === Block.ENHANCED_PACKET ||
  type === Block.SIMPLE_PACKET ||
  type === Block.OBSOLETE_PACKET ||
  type === Block.INTERFACE
const SECTION_MIN = 28
const INTERFACE_OPTIONS = 16
const Option = { END: 0, TIME_RESOLUTION: 9, FCS_LENGTH: 13, TIME_OFFSET: 14 } as const
/** Fixed part of each packet block, with type and length. */
const ENHANCED_HEADER = 28
const SIMPLE_HEADER = 12
/** Blocks up to here are read whole; of longer ones the beginning, and the rest is passed over. */
const WHOLE_BLOCK = MAX_CAPTURED_BYTES + 65_536

interface Interface {
  readonly linkType: number
  readonly snapLength: number
  readonly fcsBytes: number
  readonly ticksPerSecond: number
  /** Added to every time stamp, seconds. */
  readonly offset: number
}

export class PcapngFormat implements Format {
  private readonly window: Window
  private readonly name: string
  private littleEndian = true
  private interfaces: Interface[] = []
  private seconds = 0
  private nanoseconds = 0

  constructor(window: Window, name: string) {
    this.window = window
    this.name = name
  }

  next(packet: CapturedPacket, number: number): boolean {
    const { window } = this
    for (;;) {
      if (!window.has(BLOCK_OVERHEAD)) return false
      const { view } = window
      const section = view.getUint32(window.start, false) === MAGIC_PCAPNG
      if (section) this.beginSection()
      const type = view.getUint32(window.start, this.littleEndian)
      const total = view.getUint32(window.start + 4, this.littleEndian)
      if (total < (section ? SECTION_MIN : BLOCK_OVERHEAD) || total % 4 !== 0)
        throw this.damaged(`a block of ${total} bytes before packet ${number}`)
      const known = section || isKnown(type)
      if (known) {
        const needed = Math.min(total, WHOLE_BLOCK)
        if (!window.has(needed)) return false
        if (needed === total && view.getUint32(window.start + total - 4, this.littleEndian) !== total)
          throw this.damaged(`a block before packet ${number} whose two lengths differ`)
      }
      const found = known && !section && this.read(type, total, packet, number)
      window.skip(total)
      if (found) return true
    }
  }

  private beginSection(): void {
    const { view, start } = this.window
    this.littleEndian = view.getUint32(start + BODY, true) === BYTE_ORDER_MAGIC
    if (!this.littleEndian && view.getUint32(start + BODY, false) !== BYTE_ORDER_MAGIC)
      throw this.damaged('a section header without byte order')
    // A section's version stands behind that; later minor versions can be read (§4.1).
    this.interfaces = []
  }

  /** Returns true if the block was a packet. */
  private read(type: number, total: number, packet: CapturedPacket, number: number): boolean {
    if (type === Block.INTERFACE) {
      this.interfaces.push(this.readInterface(total))
      return false
    }
    const { view, start } = this.window
    const u32 = (at: number): number => view.getUint32(start + at, this.littleEndian)
    const simple = type === Block.SIMPLE_PACKET
    const header = simple ? SIMPLE_HEADER : ENHANCED_HEADER
    if (total < header + 4) throw this.damaged(`packet ${number} in a block of ${total} bytes`)
    const id = simple
      ? 0
      : type === Block.ENHANCED_PACKET
        ? u32(BODY)
        : view.getUint16(start + BODY, this.littleEndian)
    const source = this.interfaces.at(id)
    if (source === undefined) throw this.damaged(`packet ${number} of an interface that isn't described`)
    const original = u32(simple ? 8 : 24)
    const limit = source.snapLength === 0 ? Infinity : source.snapLength
    const captured = simple ? Math.min(original, limit, total - header - 4) : u32(20)
    if (captured > total - header - 4 || captured > MAX_CAPTURED_BYTES)
      throw this.damaged(`packet ${number} claims to have ${captured} bytes in a block of ${total}`)
    if (!simple) this.setTime(u32(12), u32(16), source)
    packet.seconds = this.seconds
    packet.nanoseconds = this.nanoseconds
    packet.badTime = false
    packet.capturedLength = captured
    packet.snapLength = source.snapLength
    packet.linkType = source.linkType
    packet.originalLength = Math.max(0, original - source.fcsBytes)
    packet.length = Math.min(captured, packet.originalLength)
    packet.offset = start + header
    return true
  }

  private readInterface(total: number): Interface {
    const { view, memory, start } = this.window
    const { littleEndian } = this
    let ticksPerSecond = 1e6
    let fcsBytes = 0
    let offset = 0
    const end = start + Math.min(total, WHOLE_BLOCK) - 4
    for (let at = start + INTERFACE_OPTIONS; at + 4 <= end;) {
      const code = view.getUint16(at, littleEndian)
      const length = view.getUint16(at + 2, littleEndian)
      const value = at + 4
      if (code === Option.END || value + length > end) break
      if (code === Option.TIME_RESOLUTION && length >= 1) {
        const resolution = memory.u8[value]
        ticksPerSecond = (resolution & 0x80) === 0 ? 10 ** resolution : 2 ** (resolution & 0x7f)
      }
      if (code === Option.FCS_LENGTH && length >= 1) fcsBytes = inBytes(memory.u8[value])
      if (code === Option.TIME_OFFSET && length >= 8) offset = this.signed64(value)
      at = value + ((length + 3) & ~3)
    }
    if (total < INTERFACE_OPTIONS + 4) throw this.damaged(`an interface in a block of ${total} bytes`)
    return {
      linkType: view.getUint16(start + BODY, littleEndian),
      snapLength: view.getUint32(start + 12, littleEndian),
      fcsBytes,
      ticksPerSecond,
      offset,
    }
  }

  private signed64(at: number): number {
    const { view } = this.window
    const high = view.getInt32(at + (this.littleEndian ? 4 : 0), this.littleEndian)
    const low = view.getUint32(at + (this.littleEndian ? 0 : 4), this.littleEndian)
    return high * 2 ** 32 + low
  }

  /** A division of 64 bits by steps of 16, as doubles hold 53. */
  private setTime(high: number, low: number, { ticksPerSecond, offset }: Interface): void {
    let rest = 0
    const next = (digit: number): number => {
      const value = rest * 65_536 + digit
      const quotient = Math.floor(value / ticksPerSecond)
      rest = value - quotient * ticksPerSecond
      return quotient
    }
    let seconds = next(high >>> 16)
    seconds = seconds * 65_536 + next(high & 0xffff)
    seconds = seconds * 65_536 + next(low >>> 16)
    seconds = seconds * 65_536 + next(low & 0xffff)
    this.seconds = seconds + offset
    this.nanoseconds = Math.min(999_999_999, (rest * 1e9) / ticksPerSecond)
  }

  private damaged(what: string): Error {
    return captureError(this.name, `it has ${what}`, 'the file is damaged, make a new one')
  }
}

/** The specification says bits, its example and some writers say bytes: 32 or 4. */
function inBytes(fcsLength: number): number {
  return fcsLength >= 16 ? fcsLength >>> 3 : fcsLength
}
