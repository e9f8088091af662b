/**
 * Doorbells of a card that is reached by messages: the data plane writes where a driver would, and pump() passes it on. So the
 * rings are those of a real run, and a test decides when QEMU hears of them.
 */
import { ftruncate, close, createMemfd, O_RDWR, open, pread } from '../../src/linux/file.ts'
import { mmap, munmap, PAGE_BYTES, viewOf } from '../../src/linux/mapping.ts'
import type { Doorbell } from '../../src/pci/transport.ts'
import { fstatSync, constants } from 'node:fs'

/** What nobody writes to a doorbell. */
const NOTHING = 0xffff_ffff

/** Passes on a write of `bytes` bytes. */
type Ring = (offset: number, bytes: number, value: number) => void

interface Watched {
  pump(): void
  close(): void
}

/** The doorbells of one BAR. */
export class Doorbells {
  /** Rung so far. */
  rings = 0
  private readonly watched = new Map<number, Watched & { readonly doorbell: Doorbell }>()
  private readonly space: 'memory' | 'io'
  private readonly ring: Ring

  constructor(space: 'memory' | 'io', ring: Ring) {
    this.space = space
    this.ring = (offset, bytes, value) => {
      this.rings += 1
      ring(offset, bytes, value)
    }
  }

  at(offset: number): Doorbell {
    let found = this.watched.get(offset)
    if (found === undefined) {
      found = this.space === 'memory' ? inMemory(offset, this.ring) : inFile(offset, this.ring)
      this.watched.set(offset, found)
    }
    return found.doorbell
  }

  pump(): void {
    for (const doorbell of this.watched.values()) doorbell.pump()
  }

  close(): void {
    for (const doorbell of this.watched.values()) doorbell.close()
    this.watched.clear()
  }
}

/** A page of our own: the value that isn't NOTHING was written. Of 16 bits, if it left the upper ones alone. */
function inMemory(offset: number, ring: Ring): Watched & { doorbell: Doorbell } {
  const page = mmap(PAGE_BYTES)
  const inPage = offset % PAGE_BYTES
  const cell = new Uint32Array(viewOf(page + BigInt(inPage & ~3), 4))
  if (inPage % 4 !== 0) throw new Error('a doorbell that is not aligned to 32 bits')
  cell[0] = NOTHING
  return {
    doorbell: { kind: 'memory', page, offset: inPage },
    pump: () => {
      const value = cell[0]
      if (value === NOTHING) return
      cell[0] = NOTHING
      if (value >>> 16 === 0xffff) ring(offset, 2, value & 0xffff)
      else ring(offset, 4, value)
    },
    close: () => munmap(page, PAGE_BYTES),
  }
}

/**
 * A file whose writes are appended, wherever they were meant for (pwrite(2), BUGS): several queues share this register, so none may
 * be overwritten. Each has 16 bits.
 */
function inFile(offset: number, ring: Ring): Watched & { doorbell: Doorbell } {
  const memfd = createMemfd('doorbell', 0)
  const fd = open(`/proc/self/fd/${memfd}`, O_RDWR | constants.O_APPEND)
  return {
    doorbell: { kind: 'file', fd, offset },
    pump: () => {
      const { size } = fstatSync(memfd)
      if (size === 0) return
      const written = Buffer.alloc(size)
      pread(memfd, written, 0)
      ftruncate(memfd, 0)
      for (let at = 0; at < size; at += 2) ring(offset, 2, written.readUInt16LE(at))
    },
    close: () => {
      close(fd)
      close(memfd)
    },
  }
}
