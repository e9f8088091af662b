/**
 * A capture's frames on their way to several threads that share them.
 *
 * One thread reads the file (sharer.ts) and writes frames into blocks of shared memory; every reader goes through all
 * blocks in turn and takes from each the frames that are its share. A capture that fits the blocks stays in them. A
 * longer one is streamed: a block is filled anew once every reader is through with it.
 *
 *     blocks       0 ─────── 1 ─────── 2 ─────── 3 ─────── 0 …
 *               ▲ passed[1]         ▲ passed[0]         ▲ published
 *               reader 1            reader 0            the sharer writes
 *
 * They meet once per block, not per frame, and no reader ever waits: where nothing is published it has nothing to send
 * for now.
 */
import { type Bytes, bytesOver, copyBytes } from '../packet/bytes.ts'

/** Blocks of a capture: what is kept in memory of one at most, 64 MiB. */
export const BLOCKS = 64
const DATA_BYTES = 1 << 20
/** As many as fit of the shortest frames on Ethernet. */
const MAX_FRAMES = DATA_BYTES >> 6

/** Layout: two words, the frames' offsets in the data and lengths, the data. */
const FRAMES = 0
const BYTES = 1
const OFFSETS_AT = 8
const LENGTHS_AT = OFFSETS_AT + MAX_FRAMES * 4
const DATA_AT = LENGTHS_AT + MAX_FRAMES * 2

/** Words of `progress`. */
const WAKE = 0
const PUBLISHED = 1
const CALLED_OFF = 2
const PASSED = 3

export class CaptureBlock {
  /** Where each frame begins in `data`, a multiple of 4, and its bytes. */
  readonly offsets: Uint32Array
  readonly lengths: Uint16Array
  readonly data: Bytes
  private readonly totals: Int32Array
  private end = 0

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(DATA_AT + DATA_BYTES)) {
    this.totals = new Int32Array(memory, 0, 2)
    this.offsets = new Uint32Array(memory, OFFSETS_AT, MAX_FRAMES)
    this.lengths = new Uint16Array(memory, LENGTHS_AT, MAX_FRAMES)
    this.data = bytesOver(memory, DATA_AT, DATA_BYTES)
  }

  get memory(): SharedArrayBuffer {
    return this.data.u8.buffer as SharedArrayBuffer
  }

  get frames(): number {
    return this.totals[FRAMES]
  }

  /** Of all frames together. */
  get bytes(): number {
    return this.totals[BYTES]
  }

  clear(): void {
    this.totals.fill(0)
    this.end = 0
  }

  /** Adds a frame of up to 65,535 bytes; false if there is no room for it. */
  add(from: Bytes, offset: number, length: number): boolean {
    const { totals, end } = this
    if (totals[FRAMES] === MAX_FRAMES || end + length > DATA_BYTES) return false
    copyBytes(from, offset, this.data, end, length)
    this.offsets[totals[FRAMES]] = end
    this.lengths[totals[FRAMES]] = length
    totals[FRAMES]++
    totals[BYTES] += length
    this.end = (end + length + 3) & ~3
    return true
  }
}

/** Who has come how far, counted in blocks since the start of the run. */
export class BlockProgress {
  private readonly words: Int32Array
  private readonly readers: number

  static create(readers: number): SharedArrayBuffer {
    return new SharedArrayBuffer((PASSED + readers) * 4)
  }

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory)
    this.readers = this.words.length - PASSED
  }

  get published(): number {
    return Atomics.load(this.words, PUBLISHED)
  }

  /** One more block may be read. */
  publish(): void {
    Atomics.add(this.words, PUBLISHED, 1)
  }

  /** Reader `index` is through with one more block. */
  pass(index: number): void {
    Atomics.add(this.words, PASSED + index, 1)
    this.wake()
  }

  /** The capture is not to be read on. */
  callOff(): void {
    Atomics.store(this.words, CALLED_OFF, 1)
    this.wake()
  }

  get calledOff(): boolean {
    return Atomics.load(this.words, CALLED_OFF) !== 0
  }

  /** Blocks until every reader is through with `blocks` blocks (true) or the capture is called off (false). */
  awaitPassed(blocks: number): boolean {
    for (;;) {
      const wake = Atomics.load(this.words, WAKE)
      if (this.calledOff) return false
      if (this.slowest() >= blocks) return true
      Atomics.wait(this.words, WAKE, wake)
    }
  }

  private slowest(): number {
    let least = Infinity
    for (let i = 0; i < this.readers; i++) least = Math.min(least, Atomics.load(this.words, PASSED + i))
    return least
  }

  private wake(): void {
    Atomics.add(this.words, WAKE, 1)
    Atomics.notify(this.words, WAKE)
  }
}
