/** The BARs of a function: mapped into this process where they can be, read and written through a file where not. */
import { IxyError } from '../errors.ts'
import { munmap, viewOf } from '../linux/mapping.ts'
import { ByWidth, readFileAt, writeFileAt } from './by-width.ts'
import { BAR0, BAR_IS_IO, COMMAND, COMMAND_IO } from './config-space.ts'
import type { ConfigSpace, Doorbell, ReadableConfig, RegisterWindow } from './transport.ts'

export const PAGE = 4096
const BAR_COUNT = 6

export interface Bar extends RegisterWindow {
  doorbell(offset: number): Doorbell | null
  /** Nobody may use the BAR any more, in any thread. Idempotent. */
  close(): void
}

/** The BARs of one function, each opened when it is first asked for. */
export class Bars {
  private readonly name: string
  private readonly open: (index: number) => Bar | null
  private readonly opened = new Map<number, Bar>()
  private closed = false

  /** `open` returns null if there is no BAR of this number. */
  constructor(name: string, open: (index: number) => Bar | null) {
    this.name = name
    this.open = open
  }

  /** Throws IXY_ERR_DEVICE_UNSUPPORTED if there is none of this number. */
  at(index: number): Bar {
    if (this.closed) throw new IxyError('IXY_ERR_INTERNAL', `${this.name} is closed`)
    const known = this.opened.get(index)
    if (known !== undefined) return known
    const bar = Number.isInteger(index) && index >= 0 && index < BAR_COUNT ? this.open(index) : null
    if (bar === null)
      throw new IxyError('IXY_ERR_DEVICE_UNSUPPORTED', `${this.name} has no registers in BAR${index}`)
    this.opened.set(index, bar)
    return bar
  }

  close(): void {
    this.closed = true
    for (const bar of this.opened.values()) bar.close()
  }
}

/** Whether a BAR is memory or I/O ports (PCI 3.0 §6.2.5.1). */
export function spaceOf(config: ReadableConfig, bar: number): 'memory' | 'io' {
  return (config.read32(BAR0 + 4 * bar) & BAR_IS_IO) === 0 ? 'memory' : 'io'
}

/** As spaceOf(); lets the function answer at its I/O ports if it is these. Its memory is switched on with its bus master. */
export function enableSpace(config: ConfigSpace, bar: number): 'memory' | 'io' {
  const space = spaceOf(config, bar)
  if (space === 'io') config.write16(COMMAND, config.read16(COMMAND) | COMMAND_IO)
  return space
}

/** Throws RangeError unless `width` bytes at `offset` are a register of a BAR of `bytes`. */
export function checkAccess(bytes: number, offset: number, width: number): void {
  if (offset % width !== 0 || !(offset >= 0 && offset + width <= bytes))
    throw new RangeError(`there is no register of ${width * 8} bits at offset 0x${offset.toString(16)}`)
}

/** A BAR mapped into this process. */
export class MappedBar implements Bar {
  readonly space = 'memory'
  private readonly address: bigint
  private u8: Uint8Array
  private u16: Uint16Array
  private u32: Uint32Array

  /** Takes over the mapping of `bytes` bytes at `address`. */
  constructor(address: bigint, bytes: number) {
    this.address = address
    const memory = viewOf(address, bytes)
    this.u8 = new Uint8Array(memory)
    this.u16 = new Uint16Array(memory)
    this.u32 = new Uint32Array(memory)
  }

  /** 0 once closed. */
  get bytes(): number {
    return this.u8.byteLength
  }

  /** Atomics, because V8 drops a plain read whose value isn't used; clear-on-read registers are read that way. */
  read8(offset: number): number {
    checkAccess(this.bytes, offset, 1)
    return Atomics.load(this.u8, offset)
  }

  read16(offset: number): number {
    checkAccess(this.bytes, offset, 2)
    return Atomics.load(this.u16, offset >>> 1)
  }

  read32(offset: number): number {
    checkAccess(this.bytes, offset, 4)
    return Atomics.load(this.u32, offset >>> 2)
  }

  /** A plain store: Atomics.store is an exchange on x86-64, which would first read the register. */
  write8(offset: number, value: number): void {
    checkAccess(this.bytes, offset, 1)
    this.u8[offset] = value
  }

  write16(offset: number, value: number): void {
    checkAccess(this.bytes, offset, 2)
    this.u16[offset >>> 1] = value
  }

  write32(offset: number, value: number): void {
    checkAccess(this.bytes, offset, 4)
    this.u32[offset >>> 2] = value
  }

  doorbell(offset: number): Doorbell {
    checkAccess(this.bytes, offset, 1)
    const inPage = offset % PAGE
    return { kind: 'memory', page: this.address + BigInt(offset - inPage), offset: inPage }
  }

  /** From here on every access throws RangeError. */
  close(): void {
    const { bytes } = this
    this.u8 = new Uint8Array(0)
    this.u16 = new Uint16Array(0)
    this.u32 = new Uint32Array(0)
    if (bytes > 0) munmap(this.address, bytes)
  }
}

/** How a BAR that isn't mapped reaches its registers: `bytes` is 1, 2 or 4. */
interface Access {
  read(offset: number, bytes: number): number
  write(offset: number, bytes: number, value: number): void
  /** Where that is faster than one after the other. */
  readAll?(offsets: readonly number[], bytes: number): number[]
}

/** A BAR whose every access is a call of some kind. `pages` are those that are mapped nevertheless. */
export class CalledBar extends ByWidth implements Bar {
  readonly bytes: number
  readonly space: 'memory' | 'io'
  private readonly access: Access
  private readonly otherDoorbell: (offset: number) => Doorbell | null
  private readonly pages: MappablePages | null
  private closed = false

  /** `doorbell`: for what is on no mapped page. */
  constructor(parts: {
    readonly bytes: number
    readonly space: 'memory' | 'io'
    readonly access: Access
    readonly pages: MappablePages | null
    readonly doorbell: (offset: number) => Doorbell | null
  }) {
    super()
    this.bytes = parts.bytes
    this.space = parts.space
    this.access = parts.access
    this.pages = parts.pages
    this.otherDoorbell = parts.doorbell
  }

  protected read(offset: number, width: number): number {
    this.check(offset, width)
    return this.access.read(offset, width)
  }

  protected write(offset: number, width: number, value: number): void {
    this.check(offset, width)
    this.access.write(offset, width, value)
  }

  readAll32(offsets: readonly number[]): number[] {
    const { access } = this
    for (const offset of offsets) this.check(offset, 4)
    return access.readAll?.(offsets, 4) ?? offsets.map((offset) => access.read(offset, 4))
  }

  private check(offset: number, width: number): void {
    checkAccess(this.closed ? 0 : this.bytes, offset, width)
  }

  doorbell(offset: number): Doorbell | null {
    this.check(offset, 1)
    const inPage = offset % PAGE
    const page = this.pages?.at(offset - inPage) ?? null
    return page === null ? this.otherDoorbell(offset) : { kind: 'memory', page, offset: inPage }
  }

  close(): void {
    this.closed = true
    this.pages?.close()
  }
}

/** A stretch of a BAR that may be mapped, in bytes from the BAR's start. */
export interface MappableArea {
  readonly offset: number
  readonly size: number
}

/** The pages of a BAR that may be mapped, as whoever offers the BAR has said; each is mapped when it is first asked for. */
export class MappablePages {
  private readonly areas: readonly MappableArea[]
  private readonly map: (offset: number) => bigint
  private readonly mapped = new Map<number, bigint>()

  /** `map` maps the page at `offset` of the BAR and returns its address. */
  constructor(areas: readonly MappableArea[], map: (offset: number) => bigint) {
    this.areas = areas
    this.map = map
  }

  /** The address of the page at `offset`, null if it isn't offered. */
  at(offset: number): bigint | null {
    const known = this.mapped.get(offset)
    if (known !== undefined) return known
    if (!this.areas.some((area) => offset >= area.offset && offset + PAGE <= area.offset + area.size))
      return null
    const address = this.map(offset)
    this.mapped.set(offset, address)
    return address
  }

  close(): void {
    for (const address of this.mapped.values()) munmap(address, PAGE)
    this.mapped.clear()
  }
}

/** A BAR that starts at byte `base` of an open file. */
export function fileBar(
  fd: number,
  base: number,
  bytes: number,
  space: 'memory' | 'io',
  pages: MappablePages | null = null,
): Bar {
  return new CalledBar({
    bytes,
    space,
    access: {
      read: (offset, width) => readFileAt(fd, base + offset, width),
      write: (offset, width, value) => writeFileAt(fd, base + offset, width, value),
    },
    pages,
    doorbell: (offset) => ({ kind: 'file', fd, offset: base + offset }),
  })
}
