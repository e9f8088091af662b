/** Several frames at once, where the loops of wasm/ get at them. */
import type { Bytes } from '../packet/bytes.ts'
import { sharedSpace } from './space.ts'

/** Bytes that there is room for wherever a frame is kept here: no longer one is taken. The largest an 82599 sends has 15.5 KiB. */
export const FRAME_ROOM = 16 * 1024

/** Frames in a burst at most. */
export const BURST = 64

/** Frames that lie in the same memory: number `first` to `first + count - 1` of those in the arrays. */
export class Burst {
  /** All of the shared space: the loops of wasm/ know no other. */
  readonly memory: Bytes
  first = 0
  count = 0
  /** Of each frame: where it starts, and its length, bytes. */
  readonly offsets: Int32Array
  readonly lengths: Int32Array
  /** For what is found out about each frame that is received: wasm/look.ts. */
  readonly verdicts: Int32Array
  /** Where these three are in the memory. V8 calls a getter for an array's byteOffset, and that for each burst is dear. */
  readonly offsetsAt: number
  readonly lengthsAt: number
  readonly verdictsAt: number
  /** Where there is room for a byte of each frame. */
  readonly starts: number

  constructor() {
    const space = sharedSpace()
    this.memory = space.bytes
    this.offsets = space.takeInts(BURST)
    this.lengths = space.takeInts(BURST)
    this.verdicts = space.takeInts(BURST)
    this.offsetsAt = this.offsets.byteOffset
    this.lengthsAt = this.lengths.byteOffset
    this.verdictsAt = this.verdicts.byteOffset
    this.starts = space.take(BURST)
  }
}
