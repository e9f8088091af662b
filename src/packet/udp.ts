/** UDP datagrams (RFC 768). */
import { read16, write16 } from './big-endian.ts'

export const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const LENGTH = 4
const CHECKSUM = 6
export const HEADER_BYTES = 8

/** A view of a datagram in `memory`; nothing is copied. */
export class UdpDatagram {
  readonly memory: Uint8Array
  readonly offset: number

  /** Throws RangeError if `length` bytes don't hold the header or the length that the header tells. */
  constructor(memory: Uint8Array, offset = 0, length = memory.length - offset) {
    if (offset < 0 || length < HEADER_BYTES || offset + length > memory.length)
      throw new RangeError(`${length} bytes don't hold a UDP header`)
    this.memory = memory
    this.offset = offset
    if (this.length < HEADER_BYTES || this.length > length)
      throw new RangeError(`UDP length ${this.length}, ${length} bytes there`)
  }

  get sourcePort(): number {
    return read16(this.memory, this.offset + SOURCE_PORT)
  }

  get destinationPort(): number {
    return read16(this.memory, this.offset + DESTINATION_PORT)
  }

  /** Header and payload, bytes. */
  get length(): number {
    return read16(this.memory, this.offset + LENGTH)
  }

  /** 0: the sender made none, as IPv4 allows. */
  get checksum(): number {
    return read16(this.memory, this.offset + CHECKSUM)
  }

  get payloadOffset(): number {
    return this.offset + HEADER_BYTES
  }

  get payloadLength(): number {
    return this.length - HEADER_BYTES
  }
}

export interface UdpHeader {
  readonly sourcePort: number
  readonly destinationPort: number
  /** Bytes after the header. */
  readonly payloadLength: number
}

/** Writes a header without checksum at `offset`. Throws RangeError if there is no space. */
export function writeUdp(memory: Uint8Array, offset: number, header: UdpHeader): number {
  const length = HEADER_BYTES + header.payloadLength
  if (offset < 0 || offset + HEADER_BYTES > memory.length || length > 0xffff)
    throw new RangeError(`no space for a UDP datagram of ${length} bytes`)
  write16(memory, offset + SOURCE_PORT, header.sourcePort)
  write16(memory, offset + DESTINATION_PORT, header.destinationPort)
  write16(memory, offset + LENGTH, length)
  write16(memory, offset + CHECKSUM, 0)
  return HEADER_BYTES
}
