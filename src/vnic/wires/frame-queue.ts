/**
 * Frames of any size, first in first out, in a ring of bytes that is allocated once.
 *
 *     0          head                          tail           capacity
 *     +----------+---------+-------+----------+--------------+
 *     |   free   | length  | frame | length … |     free     |
 *     +----------+---------+-------+----------+--------------+
 *
 * Records start at multiples of 4 bytes and never wrap around: a frame that doesn't fit before the end goes to the
 * beginning, and SKIP in place of a length says so.
 */
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'

const LENGTH_BYTES = 4
const SKIP = 0xffff_ffff

export class FrameQueue {
  /** Where the first frame is, see `offset` and `length`. */
  readonly memory: Bytes
  /** How many there are. */
  frames = 0
  private readonly capacity: number
  private head = 0
  private tail = 0
  private used = 0

  /** `capacity` in bytes: what it holds of frames, each with 4 to 7 bytes on top. */
  constructor(capacity: number) {
    this.memory = allocateBytes(capacity)
    this.capacity = this.memory.u8.length
  }

  get empty(): boolean {
    return this.frames === 0
  }

  /** What is in it, bytes, with what comes on top of the frames. */
  get bytes(): number {
    return this.used
  }

  /** Copies a frame in. False if there is no space for it now. */
  push(memory: Bytes, offset: number, length: number): boolean {
    const bytes = LENGTH_BYTES + ((length + 3) & ~3)
    // Empty: start over, so that the first record is never behind a SKIP.
    if (this.used === 0) this.head = this.tail = 0
    const rest = this.capacity - this.tail
    const skipped = bytes > rest ? rest : 0
    if (this.used + skipped + bytes > this.capacity) return false
    if (skipped > 0) {
      this.memory.u32[this.tail >>> 2] = SKIP
      this.tail = 0
    }
    this.memory.u32[this.tail >>> 2] = length
    copyBytes(memory, offset, this.memory, this.tail + LENGTH_BYTES, length)
    this.used += skipped + bytes
    this.frames++
    this.tail = this.tail + bytes === this.capacity ? 0 : this.tail + bytes
    return true
  }

  /** Offset of the first frame. The queue must not be empty. */
  get offset(): number {
    return this.head + LENGTH_BYTES
  }

  /** Length of the first frame. The queue must not be empty. */
  get length(): number {
    return this.memory.u32[this.head >>> 2]
  }

  clear(): void {
    this.frames = this.used = 0
  }

  /** Removes the first frame. The queue must not be empty. */
  shift(): void {
    this.frames--
    this.release(LENGTH_BYTES + ((this.length + 3) & ~3))
    if (this.used > 0 && this.memory.u32[this.head >>> 2] === SKIP) this.release(this.capacity - this.head)
  }

  private release(bytes: number): void {
    this.used -= bytes
    this.head = this.head + bytes === this.capacity ? 0 : this.head + bytes
  }
}
