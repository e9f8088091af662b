import type { PacketMemory } from '../packets.ts'

/** What stands in buffers that hold nothing. */
const POISON = 0xdb

/** All packet buffers, as they were when they were given away. */
export class Copies {
  private readonly now: Buffer
  private readonly copy: Buffer
  private readonly bufferShift: number

  constructor({ u8, bufferShift }: PacketMemory) {
    this.now = Buffer.from(u8.buffer, u8.byteOffset, u8.length)
    this.copy = Buffer.alloc(u8.length)
    this.bufferShift = bufferShift
  }

  /** Nothing of any buffer is of use to anybody. */
  poison(): void {
    this.now.fill(POISON)
    this.copy.fill(POISON)
  }

  /** Nor of this one. */
  wipe(id: number): void {
    this.now.fill(POISON, id << this.bufferShift, (id + 1) << this.bufferShift)
  }

  /** As it is now, it is to stay. */
  seal(id: number): void {
    const start = id << this.bufferShift
    this.now.copy(this.copy, start, start, (id + 1) << this.bufferShift)
  }

  /** The bytes from `from` to before `to` are as they were. */
  same(from: number, to: number): boolean {
    return from >= to || this.now.compare(this.copy, from, to, from, to) === 0
  }

  /** Where the first of them is that isn't; `to`: none. */
  difference(from: number, to: number): number {
    let at = from
    while (at < to && this.now[at] === this.copy[at]) at++
    return at
  }
}
