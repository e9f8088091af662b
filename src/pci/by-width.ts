import { pread, pwrite } from '../linux/file.ts'

/**
 * Access in three widths to what knows only one way of access, which takes the width: `bytes` is 1, 2 or 4. What BARs behind
 * calls and configuration spaces have in common.
 */
export abstract class ByWidth {
  protected abstract read(offset: number, bytes: number): number
  protected abstract write(offset: number, bytes: number, value: number): void

  read8(offset: number): number {
    return this.read(offset, 1)
  }

  read16(offset: number): number {
    return this.read(offset, 2)
  }

  read32(offset: number): number {
    return this.read(offset, 4)
  }

  write8(offset: number, value: number): void {
    this.write(offset, 1, value)
  }

  write16(offset: number, value: number): void {
    this.write(offset, 2, value)
  }

  write32(offset: number, value: number): void {
    this.write(offset, 4, value)
  }
}

/** `bytes` bytes at `at` of an open file. A device that has gone reads as all ones; so does what is beyond the end of the file. */
export function readFileAt(fd: number, at: number, bytes: number): number {
  const data = Buffer.alloc(bytes, 0xff)
  pread(fd, data, at)
  return data.readUIntLE(0, bytes)
}

export function writeFileAt(fd: number, at: number, bytes: number, value: number): void {
  const data = Buffer.alloc(4)
  data.writeUInt32LE(value >>> 0)
  pwrite(fd, data.subarray(0, bytes), at)
}
