/** A capture that is being written by a thread of its own, from the side of one who has all its packets. */
import type { IxyError } from '../errors.ts'
import type { Bytes } from '../packet/bytes.ts'
import { createRing, RingProducer } from './frame-ring.ts'
import type { Log } from './messages.ts'
import { type RecordOptions, RecordThread } from './record-thread.ts'

export type { RecordOptions } from './record-thread.ts'

/** Some milliseconds at line rate: a disk may pause so long before the sender is held up. */
const RING_BYTES = 16 * 1024 * 1024

export class Recording {
  /** Packets that were taken, and their bytes on the wire. */
  packets = 0
  bytes = 0
  /** begin() was called. Asked for each packet, so it is no look at what the threads share. */
  begun = false
  private readonly snapLength: number
  private readonly ring: RingProducer
  private readonly thread: RecordThread
  private unpublished = false
  private closed = false

  /**
   * Starts the thread. The file is neither made nor emptied before begin(). Throws IXY_ERR_FILE if it is plain that it can't
   * be written.
   */
  constructor(options: RecordOptions, log: Log) {
    const ring = createRing(RING_BYTES)
    this.snapLength = options.snapLength
    this.ring = new RingProducer(ring)
    this.thread = new RecordThread(options, [ring], log)
  }

  /** Why nothing more can be written. */
  get error(): IxyError | null {
    return this.thread.error
  }

  /** Records that are in the file. */
  get recorded(): number {
    return this.thread.progress.recorded
  }

  /** Nothing more gets into the file. */
  get ended(): boolean {
    return this.thread.ended
  }

  /** Packets wait, and they are being written, however slowly. */
  get busy(): boolean {
    return this.thread.busy(this.packets)
  }

  /** Makes or empties the file. `seconds`: the times of packets count from there. */
  begin(seconds: number): void {
    this.begun = true
    this.thread.progress.setClock(seconds)
    this.thread.begin()
  }

  /** Takes a packet; false if there is no room now. `time`: milliseconds, see begin(). Wait for publish() to see it written. */
  take(memory: Bytes, offset: number, length: number, time: number): boolean {
    if (this.error !== null) return false
    const kept = Math.min(length, this.snapLength)
    if (!this.ring.put(memory, offset, kept, 0, 0, time, length)) {
      this.publish()
      return false
    }
    this.unpublished = true
    this.packets++
    this.bytes += length
    return true
  }

  publish(): void {
    if (!this.unpublished) return
    this.unpublished = false
    this.ring.publish()
  }

  /**
   * Resolves when all that was taken until now is in the file. Throws IXY_ERR_OUTPUT if that fails, or takes too long.
   */
  async flush(): Promise<void> {
    this.publish()
    const { packets, thread } = this
    await thread.untilRecorded(packets)
    if (this.recorded < packets) {
      await thread.giveUp()
      thread.fail(thread.missing(packets - this.recorded))
    }
    if (this.error !== null) throw this.error
  }

  /** Lets the thread write the rest, for a second at most, and ends it. Idempotent. Throws IXY_ERR_OUTPUT if something is lost. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.publish()
    this.thread.close()
    if (this.error === null && this.recorded < this.packets)
      throw this.thread.missing(this.packets - this.recorded)
  }
}
