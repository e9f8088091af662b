import type { Bytes } from '../../packet/bytes.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { FrameQueue } from '../wires/frame-queue.ts'
import type { FlowControl } from './flow-control.ts'
import type { CardRegisters } from './registers.ts'

/** Of all packet buffers together, and of Flow Director's filters (82599 §8.2.3.8.9). */
const BYTES = 512 * 1024

/** The receive packet buffer, the first: frames that have passed the MAC and found no descriptor yet. */
export class PacketBuffer {
  readonly frames = new FrameQueue(BYTES)
  private readonly flow: FlowControl
  /** Its size, bytes: RXPBSIZE. */
  private size = BYTES
  /** How many frames are before the one that has a time stamp; negative: none has. */
  private beforeStamped = -1

  constructor(registers: CardRegisters, flow: FlowControl) {
    this.flow = flow
    registers.onWrite(REG.RXPBSIZE, (value, index) => {
      registers.set(REG.RXPBSIZE, value, index)
      // The field counts KiB and begins at bit 10: where it stands it is bytes.
      if (index === 0) this.size = value & REG.RXPBSIZE.fields.SIZE.mask
    })
  }

  /** Copies a frame in. False if there is no space. */
  push(memory: Bytes, offset: number, length: number, stamped: boolean): boolean {
    const { frames } = this
    if (frames.bytes + length > this.size || !frames.push(memory, offset, length)) return false
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

  /** As after a reset. */
  clear(): void {
    this.frames.clear()
    this.size = BYTES
    this.beforeStamped = -1
    this.flow.reset()
  }
}
