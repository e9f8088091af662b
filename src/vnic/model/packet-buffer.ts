import type { Bytes } from '../../packet/bytes.ts'
import { FrameQueue } from '../wires/frame-queue.ts'
import type { FlowControl } from './flow-control.ts'

const BYTES = 512 * 1024

/** The receive packet buffer (82599 §8.2.3.8.9): frames that have passed the MAC and found no descriptor yet. */
export class PacketBuffer {
  readonly frames = new FrameQueue(BYTES)
  private readonly flow: FlowControl
  /** How many frames are before the one that has a time stamp; negative: none has. */
  private beforeStamped = -1

  constructor(flow: FlowControl) {
    this.flow = flow
  }

  /** Copies a frame in. False if there is no space. */
  push(memory: Bytes, offset: number, length: number, stamped: boolean): boolean {
    const { frames } = this
    if (!frames.push(memory, offset, length)) return false
    if (stamped) this.beforeStamped = frames.frames - 1
    this.flow.level(frames.bytes)
    return true
  }

  /** The first frame has a time stamp. */
  get stamped(): boolean {
    return this.beforeStamped === 0
  }

  /** Removes the first frame. Call drained() once frames were. */
  shift(): void {
    this.frames.shift()
    this.beforeStamped--
  }

  drained(): void {
    this.flow.level(this.frames.bytes)
  }

  /** Forgets all frames. */
  clear(): void {
    this.frames.clear()
    this.beforeStamped = -1
    this.flow.reset()
  }
}
