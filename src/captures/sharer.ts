/** The thread that reads a capture for several who share its frames, over and over. */
import { asIxyError } from '../errors.ts'
import { BLOCKS, BlockProgress, CaptureBlock } from './blocks.ts'
import { CalledOff } from './byte-source.ts'
import type { ShareSpec, Tell } from './messages.ts'
import { CaptureReader } from './reader.ts'

/** Tells the blocks once all of a short capture is in them; reads on and on in a long one, until it is called off. */
export async function share(spec: ShareSpec, tell: Tell): Promise<void> {
  try {
    await new Sharer(spec, tell).run()
  } catch (cause) {
    if (cause instanceof CalledOff) return
    const { code, message } = asIxyError(cause)
    tell({ type: 'failed', code, message })
  }
}

class Sharer {
  private readonly spec: ShareSpec
  private readonly tell: Tell
  private readonly progress: BlockProgress
  private readonly reader: CaptureReader
  /** The reader's current frame is still to be added. */
  private waiting = false
  private round = 1

  constructor(spec: ShareSpec, tell: Tell) {
    this.spec = spec
    this.tell = tell
    this.progress = new BlockProgress(spec.progress)
    this.reader = new CaptureReader(
      spec,
      () => this.progress.calledOff,
      (type, text) => tell({ type, text }),
    )
  }

  async run(): Promise<void> {
    try {
      const blocks: CaptureBlock[] = []
      let more = true
      let bytes = 0
      while (more && blocks.length < BLOCKS) {
        const block = new CaptureBlock()
        more = await this.fill(block)
        if (block.frames > 0) blocks.push(block)
        bytes += block.bytes
        this.tell({ type: 'read', bytes })
      }
      if (!more) this.endRound()
      for (let i = 0; i < blocks.length; i++) this.progress.publish()
      const frames = blocks.reduce((sum, block) => sum + block.frames, 0)
      const memories = blocks.map(({ memory }) => memory)
      const capture = { blocks: memories, progress: more ? this.spec.progress : null }
      this.tell({ type: 'shared', capture, averageFrameBytes: bytes / frames })
      if (more) await this.stream(blocks)
    } finally {
      this.reader.close()
    }
  }

  /** Fills the blocks anew, over and over, as their readers get through with them. */
  private async stream(blocks: readonly CaptureBlock[]): Promise<void> {
    for (let number = blocks.length; ; number++) {
      if (!this.progress.awaitPassed(number - blocks.length + 1)) return
      const block = blocks[number % blocks.length]
      block.clear()
      while (!(await this.fill(block))) {
        this.endRound()
        this.reader.rewind()
      }
      this.progress.publish()
    }
  }

  /** Adds frames to `block` until it is full (true) or the capture ends (false). */
  private async fill(block: CaptureBlock): Promise<boolean> {
    const { reader } = this
    do {
      while (this.waiting || reader.next()) {
        this.waiting = !block.add(reader.memory, reader.offset, reader.length)
        if (this.waiting) return true
      }
      if (this.progress.calledOff) throw new CalledOff()
    } while (await reader.read())
    return false
  }

  private endRound(): void {
    const { frames, skipped } = this.reader
    if (this.round++ === 1 && skipped > 0 && frames > 0) {
      const text = `${this.spec.name}: ${skipped} of ${frames + skipped} packets are skipped`
      this.tell({ type: 'warning', text })
    }
  }
}
