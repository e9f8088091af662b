/** A stretch of a capture in memory, which parsers read from the front and a source fills at the end. */
import { allocateBytes, type Bytes } from '../packet/bytes.ts'

/** Holds the longest packet, with its header, and much of what follows. */
const WINDOW_BYTES = 512 * 1024
/** Free space in front of every packet, for an Ethernet header. */
const MARGIN = 16

export class Window {
  readonly memory: Bytes = allocateBytes(WINDOW_BYTES)
  readonly view = new DataView(this.memory.u8.buffer)
  /** The unread bytes. */
  start = MARGIN
  end = MARGIN
  /** Bytes that are to be passed over before anything is read again. */
  private toSkip = 0

  get unread(): number {
    return this.end - this.start
  }

  /** Within what is to be passed over: at the end of the file, it ends within something. */
  get skipping(): boolean {
    return this.toSkip > 0
  }

  /** True if the next `bytes` bytes are there: at `start`. */
  has(bytes: number): boolean {
    if (this.toSkip > 0) this.skip(0)
    return this.toSkip === 0 && this.end - this.start >= bytes
  }

  skip(bytes: number): void {
    const now = Math.min(this.toSkip + bytes, this.unread)
    this.toSkip += bytes - now
    this.start += now
  }

  /** Where more bytes are to be written: behind the unread ones. Moves those. */
  space(): Uint8Array {
    const { u8 } = this.memory
    u8.copyWithin(MARGIN, this.start, this.end)
    this.end -= this.start - MARGIN
    this.start = MARGIN
    return u8.subarray(this.end)
  }

  added(bytes: number): void {
    this.end += bytes
  }

  clear(): void {
    this.start = this.end = MARGIN
    this.toSkip = 0
  }
}
