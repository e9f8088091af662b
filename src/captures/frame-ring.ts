/**
 * Frames on their way between two threads, in shared memory of a fixed size: from a thread that reads a capture to one
 * that never waits, or from such a one to a thread that writes a capture.
 *
 *     0            head                              tail            size
 *     +------------+---------+---------+-------------+---------------+
 *     |    free    | header  | frame   | header …    |     free      |
 *     +------------+---------+---------+-------------+---------------+
 *
 *     header:  0        4      5        8       16       20      24
 *              | length | kind | flags  | time  | number | 0     |
 *
 * Records start at multiples of 8 bytes and never wrap around: one that doesn't fit before the end goes to the beginning.
 * Head and tail count on and on, modulo 2^32; the size is a power of two. Producer and consumer publish theirs for many
 * frames at once.
 */
import { type Bytes, bytesOver, copyBytes } from '../packet/bytes.ts'

const HEADER_BYTES = 24
const CONTROL_WORDS = 16
/** Longest frame that fits: what an 82599 can send or receive is shorter. */
export const MAX_RING_FRAME = 16_384

const TAIL = 0
const HEAD = 1
const PRODUCER_WAITS = 2
const CONSUMER_WAITS = 3
const STATE = 4
const COMMAND = 5

/**
 * SKIPPED: so many packets were passed over, or lost, since the last frame.
 */
export const Kind = { NONE: 0, FRAME: 1, ROUND_END: 2, WRAP: 3, SKIPPED: 4 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]

export const Flag = {
  /** Filled up with zeros to the shortest frame there is. */
  PADDED: 1,
  /** The capture has only the beginning of it. */
  CUT: 2,
  /** Of ROUND_END: all rounds are like those in the ring; it isn't filled any more, and can be read again from its start. */
  WHOLE: 4,
  /** Of ROUND_END: there was nothing in it. */
  EMPTY: 8,
} as const

/** What the thread of a capture is doing. */
export const State = { RUNNING: 0, DONE: 1, FAILED: 2 } as const
export type State = (typeof State)[keyof typeof State]

/** What it is to do. */
export const Command = { WAIT: 0, GO: 1, FINISH: 2, ABANDON: 3 } as const
export type Command = (typeof Command)[keyof typeof Command]

/** Shared memory for a ring of `size` bytes, a power of two. */
export function createRing(size: number): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_WORDS * 4 + size)
}

export class RingEnd {
  readonly memory: Bytes
  protected readonly control: Int32Array
  protected readonly times: Float64Array
  protected readonly size: number

  constructor(buffer: SharedArrayBuffer) {
    this.control = new Int32Array(buffer, 0, CONTROL_WORDS)
    this.memory = bytesOver(buffer, CONTROL_WORDS * 4)
    this.times = new Float64Array(buffer, CONTROL_WORDS * 4)
    this.size = this.memory.u8.length
  }

  get state(): State {
    return Atomics.load(this.control, STATE) as State
  }

  /** Tells the other side, and wakes whoever waits for it. */
  setState(state: State): void {
    Atomics.store(this.control, STATE, state)
    Atomics.notify(this.control, STATE)
    this.wake()
  }

  /** Waits until the state is another one; returns it, or the same after `milliseconds`. */
  waitForState(state: State, milliseconds: number): State {
    Atomics.wait(this.control, STATE, state, milliseconds)
    return this.state
  }

  get command(): Command {
    return Atomics.load(this.control, COMMAND) as Command
  }

  setCommand(command: Command): void {
    Atomics.store(this.control, COMMAND, command)
    Atomics.notify(this.control, COMMAND)
    this.wake()
  }

  waitForCommand(command: Command, milliseconds: number): void {
    Atomics.wait(this.control, COMMAND, command, milliseconds)
  }

  private wake(): void {
    Atomics.notify(this.control, TAIL)
    Atomics.notify(this.control, HEAD)
  }
}

export class RingProducer extends RingEnd {
  private tail = 0
  /** The consumer's position as last seen. */
  private head = 0
  /** The tail has never come back to the beginning. */
  private first = true

  /**
   * Appends a frame of `length` bytes, filled up with zeros to `shortest`; false if there is no room now. `number` is the
   * caller's own.
   */
  put(
    memory: Bytes,
    offset: number,
    length: number,
    shortest: number,
    flags: number,
    time: number,
    number: number,
  ): boolean {
    const whole = Math.max(shortest, length)
    const at = this.begin(Kind.FRAME, whole, flags, time, number)
    if (at < 0) return false
    const { u8 } = this.memory
    copyBytes(memory, offset, this.memory, at, length)
    for (let i = length; i < whole; i++) u8[at + i] = 0
    return true
  }

  /** Appends what is no frame; false if there is no room now. */
  mark(kind: Kind, flags: number, number: number): boolean {
    return this.begin(kind, 0, flags, 0, number) >= 0
  }

  /** Forgets all that was put and never published, and was not consumed. */
  forget(): void {
    this.tail = this.head = 0
    this.first = true
  }

  /** True if the ring holds all that was ever put into it, and `bytes` more. */
  holdsAll(bytes = HEADER_BYTES): boolean {
    return this.first && this.tail + bytes <= this.size
  }

  /** Lets the consumer see what was put. */
  publish(): void {
    const { control } = this
    Atomics.store(control, TAIL, this.tail | 0)
    if (Atomics.load(control, CONSUMER_WAITS) !== 0) Atomics.notify(control, TAIL)
  }

  /** Waits up to `milliseconds` for the consumer to make room. */
  waitForRoom(milliseconds: number): void {
    const { control } = this
    Atomics.store(control, PRODUCER_WAITS, 1)
    // What it has freed just now would go unnoticed.
    if (Atomics.load(control, HEAD) === (this.head | 0))
      Atomics.wait(control, HEAD, this.head | 0, milliseconds)
    Atomics.store(control, PRODUCER_WAITS, 0)
  }

  /** Bytes that wait to be consumed. */
  get used(): number {
    return (this.tail - Atomics.load(this.control, HEAD)) >>> 0
  }

  /** Writes the header; returns where the frame is to stand, -1 if there is no room. */
  private begin(kind: Kind, length: number, flags: number, time: number, number: number): number {
    const bytes = recordBytes(length)
    let at = this.tail & (this.size - 1)
    const rest = this.size - at
    const needed = bytes > rest ? rest + bytes : bytes
    if (!this.fits(needed)) return -1
    const { u32, u8 } = this.memory
    if (bytes > rest) {
      u8[at + 4] = Kind.WRAP
      this.tail = (this.tail + rest) >>> 0
      at = 0
    }
    if (this.tail + bytes > this.size) this.first = false
    u32[at >>> 2] = length
    u32[(at >>> 2) + 1] = kind | (flags << 8)
    this.times[(at >>> 3) + 1] = time
    u32[(at >>> 2) + 4] = number
    this.tail = (this.tail + bytes) >>> 0
    return at + HEADER_BYTES
  }

  private fits(bytes: number): boolean {
    if (((this.tail - this.head) >>> 0) + bytes <= this.size) return true
    this.head = Atomics.load(this.control, HEAD) >>> 0
    return ((this.tail - this.head) >>> 0) + bytes <= this.size
  }
}

export class RingConsumer extends RingEnd {
  private head = 0
  /** The producer's position as last seen. */
  private tail = 0
  private released = 0

  /** What comes next; NONE: nothing yet. */
  peek(): Kind {
    for (;;) {
      if (this.head === this.tail) {
        this.tail = Atomics.load(this.control, TAIL) >>> 0
        if (this.head === this.tail) return Kind.NONE
      }
      const kind = this.memory.u8[this.at + 4] as Kind
      if (kind !== Kind.WRAP) return kind
      this.head = (this.head + this.size - this.at) >>> 0
    }
  }

  // Of the record that peek() has found.

  /** Where its frame is in `memory`. */
  get offset(): number {
    return this.at + HEADER_BYTES
  }

  get length(): number {
    return this.memory.u32[this.at >>> 2]
  }

  get flags(): number {
    return this.memory.u8[this.at + 5]
  }

  get time(): number {
    return this.times[(this.at >>> 3) + 1]
  }

  get number(): number {
    return this.memory.u32[(this.at >>> 2) + 4]
  }

  /** Moves on behind it. Its memory stays as it is until release(). */
  shift(): void {
    this.head = (this.head + recordBytes(this.length)) >>> 0
  }

  /** Back to the beginning of the ring, once a mark has said WHOLE. */
  restart(): void {
    this.head = 0
  }

  /** Gives what was shifted back to the producer, and wakes it once half of the ring is free. */
  release(): void {
    if (this.head === this.released) return
    const { control } = this
    this.released = this.head
    Atomics.store(control, HEAD, this.head | 0)
    if (Atomics.load(control, PRODUCER_WAITS) !== 0 && (this.tail - this.head) >>> 0 <= this.size / 2)
      Atomics.notify(control, HEAD)
  }

  /** Waits up to `milliseconds` for something to come. */
  wait(milliseconds: number): void {
    const { control } = this
    Atomics.store(control, CONSUMER_WAITS, 1)
    if (Atomics.load(control, TAIL) === (this.head | 0))
      Atomics.wait(control, TAIL, this.head | 0, milliseconds)
    Atomics.store(control, CONSUMER_WAITS, 0)
  }

  private get at(): number {
    return this.head & (this.size - 1)
  }
}

function recordBytes(length: number): number {
  return (HEADER_BYTES + length + 7) & ~7
}
