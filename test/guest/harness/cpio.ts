/**
 * Writes an initramfs in cpio's "newc" format: a 110-byte ASCII header of 8-digit hexadecimal fields, the name, the data,
 * each padded to 4 bytes (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).
 */
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

const FILE = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000

export class CpioArchive {
  readonly #fd: number
  readonly #known = new Set<string>(['.', '/'])
  #inode = 1

  /** A new file, or with 'a' one more archive behind those that the file holds. */
  constructor(path: string, flags: 'w' | 'a' = 'w') {
    this.#fd = openSync(path, flags)
  }

  /** A file with these contents. Parent folders are added as needed. */
  file(path: string, contents: string | Uint8Array, mode = 0o644): void {
    this.#parents(path)
    this.#entry(path, FILE | mode, typeof contents === 'string' ? Buffer.from(contents) : contents)
  }

  /** A copy of a file of this machine, with its permission bits. */
  copy(path: string, source: string): void {
    this.file(path, readFileSync(source), statSync(source).mode & 0o777)
  }

  directory(path: string): void {
    if (this.#known.has(path)) return
    this.#known.add(path)
    this.#parents(path)
    this.#entry(path, DIRECTORY | 0o755, Buffer.alloc(0))
  }

  symlink(path: string, target: string): void {
    this.#parents(path)
    this.#entry(path, SYMLINK | 0o777, Buffer.from(target))
  }

  close(): void {
    this.#entry('TRAILER!!!', 0, Buffer.alloc(0))
    closeSync(this.#fd)
  }

  #parents(path: string): void {
    this.directory(dirname(path))
  }

  #entry(path: string, mode: number, data: Uint8Array): void {
    const name = Buffer.from(`${path.replace(/^\/+/, '')}\0`)
    const links = (mode & DIRECTORY) === DIRECTORY ? 2 : 1
    const fields = [this.#inode++, mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length, 0]
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
    this.#write(header, name)
    this.#write(data)
  }

  /** Writes the parts one after the other and pads their sum to 4 bytes. */
  #write(...parts: Uint8Array[]): void {
    const whole = Buffer.concat(parts)
    const padded = Buffer.concat([whole, Buffer.alloc(-whole.length & 3)])
    for (let written = 0; written < padded.length;) written += writeSync(this.#fd, padded, written)
  }
}
