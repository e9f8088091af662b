/** Captures built by hand, from the descriptions of the formats. */

export interface TestPacket {
  readonly seconds?: number
  /** In the file's own unit. */
  readonly fraction?: number
  readonly data: Uint8Array
  readonly originalLength?: number
}

export interface PcapOptions {
  readonly little?: boolean
  readonly magic?: number
  readonly linkType?: number
  readonly version?: number
  readonly snapLength?: number
}

class Bytes {
  readonly parts: Buffer[] = []
  readonly little: boolean

  constructor(little: boolean) {
    this.little = little
  }

  u16(...values: number[]): this {
    for (const value of values) {
      const b = Buffer.alloc(2)
      if (this.little) b.writeUInt16LE(value)
      else b.writeUInt16BE(value)
      this.parts.push(b)
    }
    return this
  }

  u32(...values: number[]): this {
    for (const value of values) {
      const b = Buffer.alloc(4)
      if (this.little) b.writeUInt32LE(value >>> 0)
      else b.writeUInt32BE(value >>> 0)
      this.parts.push(b)
    }
    return this
  }

  raw(bytes: Uint8Array): this {
    this.parts.push(Buffer.from(bytes))
    return this
  }

  get all(): Buffer {
    return Buffer.concat(this.parts)
  }
}

export function pcap(packets: readonly TestPacket[], options: PcapOptions = {}): Buffer {
  const { little = true, magic = 0xa1b2c3d4, linkType = 1, version = 2, snapLength = 65535 } = options
  const file = new Bytes(little).u32(magic).u16(version, 4).u32(0, 0, snapLength, linkType)
  for (const { seconds = 0, fraction = 0, data, originalLength = data.length } of packets) {
    file.u32(seconds, fraction, data.length, originalLength)
    // Kuznetzov's: interface index, protocol, packet type, padding.
    if (magic === 0xa1b2cd34) file.u32(3).u16(0x800).raw(Uint8Array.of(4, 0))
    file.raw(data)
  }
  return file.all
}

const pad = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])

/** Blocks of a pcapng section in one byte order. */
export class Section {
  private readonly little: boolean
  private readonly blocks: Buffer[] = []

  constructor(little = true) {
    this.little = little
    this.block(0x0a0d0d0a, this.bytes().u32(0x1a2b3c4d).u16(1, 0).u32(0xffffffff, 0xffffffff).all)
  }

  private bytes(): Bytes {
    return new Bytes(this.little)
  }

  block(type: number, body: Uint8Array): this {
    const padded = pad(body)
    const total = padded.length + 12
    this.blocks.push(this.bytes().u32(type, total).raw(padded).u32(total).all)
    return this
  }

  option(code: number, value: Uint8Array): Buffer {
    return this.bytes().u16(code, value.length).raw(pad(value)).all
  }

  /** `options`: as option() makes them. */
  interface(linkType = 1, snapLength = 0, ...options: Buffer[]): this {
    const end = options.length > 0 ? [Buffer.alloc(4)] : []
    const body = this.bytes()
      .u16(linkType, 0)
      .u32(snapLength)
      .raw(Buffer.concat([...options, ...end]))
    return this.block(1, body.all)
  }

  enhanced(id: number, time: bigint, data: Uint8Array, originalLength = data.length): this {
    const body = this.bytes().u32(
      id,
      Number(time >> 32n),
      Number(time & 0xffffffffn),
      data.length,
      originalLength,
    )
    return this.block(6, body.raw(data).all)
  }

  simple(data: Uint8Array, originalLength = data.length): this {
    return this.block(3, this.bytes().u32(originalLength).raw(data).all)
  }

  obsolete(id: number, time: bigint, data: Uint8Array): this {
    const body = this.bytes()
      .u16(id, 0)
      .u32(Number(time >> 32n), Number(time & 0xffffffffn), data.length, data.length)
    return this.block(2, body.raw(data).all)
  }

  get file(): Buffer {
    return Buffer.concat(this.blocks)
  }
}

/** Different for every `seed` and length. */
export const frame = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => i * seed + length)
