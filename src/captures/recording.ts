/** A capture that is being written by a thread of its own, from the side of whoever has the packets. */
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { IxyError } from '../errors.ts'
import type { Bytes } from '../packet/bytes.ts'
import { fileError } from '../packet/pcap.ts'
import { isStandardStream, toPath } from './file-name.ts'
import { Command, createRing, Kind, RingProducer, State } from './frame-ring.ts'
import type { FromCaptureThread, Log, RecordSpec } from './messages.ts'
import { CaptureThread } from './start.ts'

/** Some milliseconds at line rate: a disk may pause so long before the sender is held up. */
const RING_BYTES = 16 * 1024 * 1024
/** How long flush() waits for a thread that gets nothing written, and in all, milliseconds. */
const STUCK = 3_000
const LONG = 30_000
/** How long close() waits, milliseconds: the process of a virtual NIC is killed two seconds after it was told to stop. */
const CLOSE_DEADLINE = 1_000
const LOOK_EVERY = 5

export type RecordOptions = Omit<RecordSpec, 'ring' | 'progress'>

export class Recording {
  /** Packets that were taken, and their bytes on the wire. */
  packets = 0
  bytes = 0
  /** Why nothing more can be written. */
  error: IxyError | null = null
  private readonly name: string
  private readonly snapLength: number
  private readonly log: Log
  private readonly ring: RingProducer
  private readonly progress: Float64Array
  private readonly thread: CaptureThread
  private command: Command = Command.WAIT
  private unpublished = false
  private closed = false
  /** Bytes that were written when busy was asked last, and the last time at which they had grown. */
  private writtenBefore = 0
  private writtenAt = performance.now()

  /**
   * Starts the thread. The file is neither made nor emptied before begin(). Throws IXY_ERR_FILE if it is plain that it can't
   * be written.
   */
  constructor(options: RecordOptions, log: Log) {
    checkWritable(options)
    this.name = options.name
    this.snapLength = options.snapLength
    this.log = log
    const ring = createRing(RING_BYTES)
    const progress = new SharedArrayBuffer(16)
    this.ring = new RingProducer(ring)
    this.progress = new Float64Array(progress)
    this.thread = new CaptureThread(
      { role: 'record', spec: { ...options, ring, progress } },
      (message) => this.receive(message),
      (error) => this.fail(error),
    )
  }

  /** Records that are in the file. */
  get recorded(): number {
    return this.progress[0]
  }

  /** Nothing more gets into the file. */
  get ended(): boolean {
    return this.thread.ended || this.ring.state !== State.RUNNING
  }

  /** Packets wait, and they are being written, however slowly. */
  get busy(): boolean {
    const now = performance.now()
    const written = this.progress[1]
    const waiting = this.error === null && this.begun && !this.closed && this.recorded < this.packets
    if (written !== this.writtenBefore || !waiting) this.writtenAt = now
    this.writtenBefore = written
    return waiting && now - this.writtenAt < STUCK
  }

  get begun(): boolean {
    return this.command !== Command.WAIT
  }

  /** Makes or empties the file. `seconds`: the times of packets count from there. */
  begin(seconds: number): void {
    this.ring.mark(Kind.CLOCK, 0, seconds)
    this.ring.publish()
    this.order(Command.GO)
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
    this.writtenAt = performance.now()
    const deadline = this.writtenAt + LONG
    const { packets } = this
    while (this.recorded < packets && performance.now() < deadline && this.busy) await sleep(LOOK_EVERY)
    if (this.recorded < packets) this.fail(this.tooSlow())
    if (this.error !== null) throw this.error
  }

  /** Lets the thread write the rest, for a second at most, and ends it. Idempotent. Throws IXY_ERR_OUTPUT if something is lost. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.publish()
    const { ring } = this
    if (this.begun && this.error === null) {
      this.order(Command.FINISH)
      ring.waitForState(State.RUNNING, CLOSE_DEADLINE)
    }
    if (ring.state === State.RUNNING) {
      this.order(Command.ABANDON)
      if (this.begun) ring.waitForState(State.RUNNING, CLOSE_DEADLINE / 4)
    }
    this.thread.end()
    if (this.error === null && this.recorded < this.packets) throw this.tooSlow()
  }

  private order(command: Command): void {
    this.command = command
    this.ring.setCommand(command)
  }

  private tooSlow(): IxyError {
    const unwritten = this.packets - this.recorded
    if (this.ring.state === State.FAILED)
      return new IxyError(
        'IXY_ERR_OUTPUT',
        `${unwritten} packets are missing in ${this.name}: it can't be written any more`,
        'make room and run again',
      )
    return new IxyError(
      'IXY_ERR_OUTPUT',
      `${unwritten} packets are missing in ${this.name}: it takes them too slowly, or not at all`,
      'see that it is read, or record to a faster disk',
    )
  }

  private receive(message: FromCaptureThread): void {
    if (message.type === 'failed') this.fail(new IxyError(message.code, message.message))
    else if (message.type === 'warning' || message.type === 'progress') this.log(message.type, message.text)
  }

  private fail(error: IxyError): void {
    this.error ??= error
  }
}

/** Throws IXY_ERR_FILE if a file can't be written, as far as that shows without touching it. */
function checkWritable({ name, owner }: RecordOptions): void {
  if (isStandardStream(name, 1)) return
  const file = toPath(name, owner)
  try {
    const state = statSync(file, { throwIfNoEntry: false })
    if (state?.isDirectory() === true) throw Object.assign(new Error(), { code: 'EISDIR' })
    if (state === undefined) accessSync(folderOf(file), constants.W_OK | constants.X_OK)
    else accessSync(file, constants.W_OK)
  } catch (cause) {
    throw fileError('write', name, cause)
  }
}

function folderOf(file: string | Buffer): string | Buffer {
  if (typeof file === 'string') return path.dirname(file)
  const slash = file.lastIndexOf('/')
  return slash < 0 ? '.' : file.subarray(0, Math.max(1, slash))
}
