import { BlockProgress, CaptureBlock } from '../../captures/blocks.ts'
import type { SharedCapture } from '../../captures/messages.ts'
import type { Share } from './options.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { type Bytes, copyBytes } from '../../packet/bytes.ts'
import { type FrameSource, bytesOf } from './frame-source.ts'

/** Bytes of each frame that are copied in a rehearsal: the loop is what matters. */
const REHEARSED_BYTES = 64

/** Of the frames of a capture, played over and over, those that are this worker's share. */
export class CaptureFrames implements FrameSource {
  readonly stream = 0
  private readonly memory: PacketMemory
  private readonly bytes: Bytes
  private readonly pool: number
  private readonly share: Share
  private readonly blocks: readonly CaptureBlock[]
  private readonly progress: BlockProgress | null
  /** Which frame each buffer holds, so that it is copied only when it changes; null: nearly all of them change. */
  private readonly holds: Int32Array | null
  /** No frame is longer. */
  private readonly longest: number
  private readonly onBlock: (averageFrameBytes: number) => void
  /** Blocks before the current one, its index, and whether the feeder may have it back. */
  private passed = 0
  private block = 0
  private given = false
  /** In the current block; once that is given back, its own count may be the feeder's. */
  private frames = 0
  /** The next frame in the current block, or how far beyond its end. */
  private at: number
  /** In an array, as a double field that grows out of the small integers would have the loop compiled again. */
  private readonly count = new Float64Array(1)

  /**
   * `onBlock` is told what frames to expect from here on. `rehearsal`: nothing is used up of a capture that is streamed.
   */
  constructor(
    memory: PacketMemory,
    pool: number,
    { blocks, progress }: SharedCapture,
    share: Share,
    { onBlock, rehearsal }: { onBlock: (averageFrameBytes: number) => void; rehearsal: boolean },
  ) {
    this.memory = memory
    this.bytes = bytesOf(memory)
    this.pool = pool
    this.share = share
    this.blocks = blocks.map((block) => new CaptureBlock(block))
    this.progress = progress === null || rehearsal ? null : new BlockProgress(progress)
    this.holds = blocks.length > 1 ? null : new Int32Array(memory.size.length).fill(-1)
    this.longest = rehearsal ? REHEARSED_BYTES : 0xffff
    this.onBlock = onBlock
    this.at = share.index
    this.enter()
  }

  get sent(): number {
    return this.count[0]
  }

  get sentOfEach(): readonly number[] {
    return [this.sent]
  }

  next(batch: Int32Array, wanted: number): number {
    const { memory, bytes, holds, longest } = this
    const { size } = memory
    const step = this.share.of
    const allocated = memory.allocate(this.pool, batch, wanted)
    let { offsets, lengths, data } = this.blocks[this.block]
    let { at, frames } = this
    let count = 0
    for (; count < allocated; count++) {
      if (at >= frames) {
        this.at = at
        if (!this.nextBlock()) break
        ;({ at, frames } = this)
        ;({ offsets, lengths, data } = this.blocks[this.block])
      }
      const id = batch[count]
      if (holds === null || holds[id] !== at) {
        const length = lengths[at] < longest ? lengths[at] : longest
        copyBytes(data, offsets[at], bytes, memory.dataOffset(id), length)
        size[id] = length
        if (holds !== null) holds[id] = at
      }
      at += step
    }
    this.at = at
    this.count[0] += count
    memory.free(batch, count, allocated - count)
    return count
  }

  /** Moves on to the block in which the next frame is; false if it isn't there yet. */
  private nextBlock(): boolean {
    const { blocks, progress, share } = this
    while (this.at >= this.frames) {
      if (progress !== null) {
        if (!this.given) progress.pass(share.index)
        this.given = true
        if (progress.published <= this.passed + 1) return false
        this.given = false
      }
      this.at -= this.frames
      this.passed++
      this.block = this.block + 1 === blocks.length ? 0 : this.block + 1
      if (blocks.length > 1) this.enter()
    }
    return true
  }

  private enter(): void {
    const { frames, bytes } = this.blocks[this.block]
    this.frames = frames
    this.onBlock(bytes / frames)
  }
}
