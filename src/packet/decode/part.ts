import { read16, read32 } from '../big-endian.ts'
import { formatIpv4 } from '../ipv4.ts'
import { formatIpv6 } from '../ipv6.ts'
import { formatMac } from '../mac.ts'

/** A part of a packet: bytes of it that were captured, and how many there were on the wire. Fields are read where `has` says that they are. */
export class Part {
  readonly u8: Uint8Array
  readonly at: number
  readonly captured: number
  readonly length: number

  constructor(u8: Uint8Array, at: number, captured: number, length: number) {
    this.u8 = u8
    this.at = at
    this.captured = Math.max(0, Math.min(captured, length, u8.length - at))
    this.length = Math.max(0, length)
  }

  has(bytes: number): boolean {
    return bytes <= this.captured
  }

  /** What follows on so many bytes. */
  after(bytes: number): Part {
    return new Part(this.u8, this.at + bytes, this.captured - bytes, this.length - bytes)
  }

  /** No more than so many bytes of it. */
  first(bytes: number): Part {
    return new Part(this.u8, this.at, this.captured, Math.min(bytes, this.length))
  }

  byte(at: number): number {
    return this.u8[this.at + at]
  }

  u16(at: number): number {
    return read16(this.u8, this.at + at)
  }

  u32(at: number): number {
    return read32(this.u8, this.at + at) >>> 0
  }

  mac(at: number): string {
    return formatMac(this.u8, this.at + at)
  }

  ipv4(at: number): string {
    return formatIpv4(read32(this.u8, this.at + at))
  }

  ipv6(at: number): string {
    return formatIpv6(this.u8, this.at + at)
  }

  hex(at: number, bytes: number): string {
    return Buffer.from(this.u8.buffer, this.u8.byteOffset + this.at + at, bytes).toString('hex')
  }
}
