/** IPv4 packets (RFC 791). */
import { IxyError } from '../errors.ts'
import { read16, read32, write16, write32 } from './big-endian.ts'
import { internetChecksum } from './checksum.ts'

const VERSION_AND_HEADER_LENGTH = 0
const TOTAL_LENGTH = 2
const TIME_TO_LIVE = 8
const PROTOCOL = 9
const CHECKSUM = 10
const SOURCE = 12
const DESTINATION = 16
/** Header without options. */
export const HEADER_BYTES = 20

export const PROTOCOL_UDP = 17

/** A view of a packet in `memory`; nothing is copied. */
export class Ipv4Packet {
  readonly memory: Uint8Array
  readonly offset: number

  /**
   * `length` is what the frame holds; it may be longer than the packet (padding).
   * Throws RangeError if that is no IPv4 packet: another version, a header length or total length that doesn't fit.
   */
  constructor(memory: Uint8Array, offset = 0, length = memory.length - offset) {
    if (offset < 0 || length < HEADER_BYTES || offset + length > memory.length)
      throw new RangeError(`${length} bytes don't hold an IPv4 header`)
    this.memory = memory
    this.offset = offset
    if (memory[offset + VERSION_AND_HEADER_LENGTH] >> 4 !== 4) throw new RangeError('not IPv4')
    if (this.headerBytes < HEADER_BYTES || this.headerBytes > this.totalLength || this.totalLength > length)
      throw new RangeError(
        `IPv4 header of ${this.headerBytes}, packet of ${this.totalLength}, ${length} bytes there`,
      )
  }

  get headerBytes(): number {
    return (this.memory[this.offset + VERSION_AND_HEADER_LENGTH] & 0xf) << 2
  }

  /** Header and payload, bytes. */
  get totalLength(): number {
    return read16(this.memory, this.offset + TOTAL_LENGTH)
  }

  get timeToLive(): number {
    return this.memory[this.offset + TIME_TO_LIVE]
  }

  get protocol(): number {
    return this.memory[this.offset + PROTOCOL]
  }

  get checksumOk(): boolean {
    return internetChecksum(this.memory, this.offset, this.headerBytes) === 0
  }

  get source(): string {
    return formatIpv4(read32(this.memory, this.offset + SOURCE))
  }

  get destination(): string {
    return formatIpv4(read32(this.memory, this.offset + DESTINATION))
  }

  get payloadOffset(): number {
    return this.offset + this.headerBytes
  }

  get payloadLength(): number {
    return this.totalLength - this.headerBytes
  }
}

export interface Ipv4Header {
  /** Addresses as 32-bit numbers, see parseIpv4(). */
  readonly source: number
  readonly destination: number
  readonly protocol: number
  /** Bytes after the header. */
  readonly payloadLength: number
}

/** Writes a header without options (TTL 64) and its checksum at `offset`. Throws RangeError if there is no space. */
export function writeIpv4(memory: Uint8Array, offset: number, header: Ipv4Header): number {
  const totalLength = HEADER_BYTES + header.payloadLength
  if (offset < 0 || offset + HEADER_BYTES > memory.length || totalLength > 0xffff)
    throw new RangeError(`no space for an IPv4 packet of ${totalLength} bytes`)
  memory.fill(0, offset, offset + HEADER_BYTES)
  memory[offset + VERSION_AND_HEADER_LENGTH] = (4 << 4) | (HEADER_BYTES >> 2)
  write16(memory, offset + TOTAL_LENGTH, totalLength)
  memory[offset + TIME_TO_LIVE] = 64
  memory[offset + PROTOCOL] = header.protocol
  write32(memory, offset + SOURCE, header.source)
  write32(memory, offset + DESTINATION, header.destination)
  write16(memory, offset + CHECKSUM, internetChecksum(memory, offset, HEADER_BYTES))
  return HEADER_BYTES
}

/** `10.0.0.1` as a 32-bit unsigned number. Throws IXY_ERR_USAGE for anything else. */
export function parseIpv4(text: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number)
  if (parts === undefined || parts.some((part) => part > 255))
    throw new IxyError(
      'IXY_ERR_USAGE',
      `'${text}' is not an IPv4 address`,
      'write four numbers up to 255 as in 10.0.0.1',
    )
  return parts.reduce((address, part) => address * 256 + part, 0)
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')
}
