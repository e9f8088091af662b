/** Configuration space in a file, registers in a mapping: as sysfs and VFIO offer them. */
import { close, pread, pwrite } from '../linux/file.ts'
import { IxyError } from '../errors.ts'
import { munmap, viewOf } from '../linux/mapping.ts'
import type { ConfigSpace, RegisterWindow } from './transport.ts'

/** Command register: offset and bits (PCI 3.0 §6.2.2). */
export const COMMAND = 0x04
export const COMMAND_MEMORY = 0x2
export const COMMAND_BUS_MASTER = 0x4

/** Status register (PCI 3.0 §6.2.3): some of its bits are always 0, unless nobody answers. */
const STATUS = 0x06

/** Configuration space that starts at byte `base` of an open file. */
export class FileConfigSpace implements ConfigSpace {
  private readonly fd: number
  private readonly base: number

  constructor(fd: number, base = 0) {
    this.fd = fd
    this.base = base
  }

  read8(offset: number): number {
    return this.read(offset, 1)
  }

  read16(offset: number): number {
    return this.read(offset, 2)
  }

  read32(offset: number): number {
    return this.read(offset, 4)
  }

  write16(offset: number, value: number): void {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16LE(value)
    pwrite(this.fd, bytes, this.base + offset)
  }

  /** A device that has gone reads as all ones; so does what is beyond the end of the file. */
  private read(offset: number, bytes: number): number {
    const data = Buffer.alloc(bytes, 0xff)
    pread(this.fd, data, this.base + offset)
    return data.readUIntLE(0, bytes)
  }

  close(): void {
    close(this.fd)
  }
}

/** On: the function answers memory accesses and may do DMA. Off: it does no DMA any more, registers stay readable. */
export function setBusMaster(config: ConfigSpace, on: boolean): void {
  const command = config.read16(COMMAND)
  config.write16(COMMAND, on ? command | COMMAND_MEMORY | COMMAND_BUS_MASTER : command & ~COMMAND_BUS_MASTER)
}

/** Throws IXY_ERR_DEVICE_GONE if the function doesn't answer: reads of a device that has gone return all ones. */
export function requireAnswer(config: ConfigSpace, name: string): void {
  let status = 0xffff
  try {
    status = config.read16(STATUS)
  } catch {
    // The files of a removed device can't be read.
  }
  if (status === 0xffff)
    throw new IxyError(
      'IXY_ERR_DEVICE_GONE',
      `${name} is gone`,
      'check card and slot, see the kernel log (dmesg)',
    )
}

/** A BAR mapped into this process. */
export class MappedBar implements RegisterWindow {
  readonly address: bigint
  private words: Uint32Array

  /** Takes over the mapping of `bytes` bytes at `address`. */
  constructor(address: bigint, bytes: number) {
    this.address = address
    this.words = new Uint32Array(viewOf(address, bytes))
  }

  /** 0 once unmapped. */
  get bytes(): number {
    return this.words.byteLength
  }

  /** Atomics, because V8 drops a plain read whose value isn't used; clear-on-read registers are read that way. */
  read32(offset: number): number {
    this.check(offset)
    return Atomics.load(this.words, offset >>> 2)
  }

  /** A plain store: Atomics.store is an exchange on x86-64, which would first read the register. */
  write32(offset: number, value: number): void {
    this.check(offset)
    this.words[offset >>> 2] = value
  }

  private check(offset: number): void {
    if ((offset & 3) !== 0 || offset < 0 || offset >= this.bytes)
      throw new RangeError(`there is no register at offset 0x${offset.toString(16)}`)
  }

  /** Address of a page of 4096 bytes. */
  page(offset: number): bigint {
    if (offset % 4096 !== 0 || offset < 0 || offset + 4096 > this.bytes)
      throw new RangeError(`there is no page at offset 0x${offset.toString(16)}`)
    return this.address + BigInt(offset)
  }

  /** Nobody may use the BAR any more, in any thread; here every access throws RangeError. Idempotent. */
  unmap(): void {
    const { bytes } = this
    this.words = new Uint32Array(0)
    if (bytes > 0) munmap(this.address, bytes)
  }
}
