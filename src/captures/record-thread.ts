/** A capture that is being written by a thread of its own, from the side of whoever gives the orders. */
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { IxyError } from '../errors.ts'
import { fileError } from '../packet/pcap.ts'
import { isStandardStream, shownName, toPath } from './file-name.ts'
import { Command, RingEnd, State } from './frame-ring.ts'
import type { FromCaptureThread, Log, RecordSpec } from './messages.ts'
import { Progress } from './progress.ts'
import { CaptureThread } from './start.ts'

/** How long a thread is waited for that gets nothing written, and in all, milliseconds. */
const STUCK = 3_000
const LONG = 30_000
/** How long close() waits, milliseconds: the process of a virtual NIC is killed two seconds after it was told to stop. */
const CLOSE_DEADLINE = 1_000
/** How long a thread that was given up may take to tell its last counts, milliseconds. */
const ABANDON_DEADLINE = 200
const LOOK_EVERY = 5

export type RecordOptions = Omit<RecordSpec, 'rings' | 'progress'>

export class RecordThread {
  readonly progress: Progress
  /** Why nothing more can be written. */
  error: IxyError | null = null
  /** Told when nothing more gets into the capture, as it is complete, or as nobody reads the pipe (`gone`) any more. */
  onComplete: (gone: boolean) => void = () => undefined
  /** Told, once, of the error. */
  onError: (error: IxyError) => void = () => undefined
  private readonly name: string
  private readonly log: Log
  /** The first ring. */
  private readonly ring: RingEnd
  private readonly thread: CaptureThread
  private closed = false
  /** It was given up, as what it writes to is too slow. */
  private slow = false
  /** Bytes that were written when it was looked at last, and the last time at which they had grown. */
  private writtenBefore = 0
  private writtenAt = performance.now()

  /**
   * Starts the thread. The file is neither made nor emptied before begin(). Throws IXY_ERR_FILE if it is plain that it can't
   * be written.
   */
  constructor(options: RecordOptions, rings: readonly SharedArrayBuffer[], log: Log) {
    checkWritable(options)
    this.name = options.name
    this.log = log
    const progress = Progress.allocate()
    this.progress = new Progress(progress)
    this.ring = new RingEnd(rings[0])
    this.thread = new CaptureThread(
      { role: 'record', spec: { ...options, rings, progress } },
      (message) => this.receive(message),
      (error) => this.fail(error),
    )
  }

  /** Nothing more gets into the file. */
  get ended(): boolean {
    return this.thread.ended || this.ring.state !== State.RUNNING
  }

  /** Packets flow: the file is made or emptied. */
  get begun(): boolean {
    return this.ring.command !== Command.WAIT
  }

  /** Makes or empties the file. The clock has been set. */
  begin(): void {
    this.ring.setCommand(Command.GO)
  }

  /** `packets` are to be in the file, and as long as they aren't all, something gets written, however slowly. */
  busy(packets: number): boolean {
    const now = performance.now()
    const { written, recorded } = this.progress
    const waiting = this.error === null && this.begun && !this.closed && recorded < packets
    if (written !== this.writtenBefore || !waiting) this.writtenAt = now
    this.writtenBefore = written
    return waiting && now - this.writtenAt < STUCK
  }

  /** Resolves when `packets` are in the file, it is `late`, or that takes too long. */
  async untilRecorded(packets: number, late: () => boolean = () => false): Promise<void> {
    this.writtenAt = performance.now()
    const deadline = this.writtenAt + LONG
    while (this.busy(packets) && performance.now() < deadline && !late() && !this.ended)
      await sleep(LOOK_EVERY)
  }

  /** Lets the thread write what is in the rings, and end the file; resolves as untilRecorded(), and the counts are the last ones. */
  async finish(late: () => boolean): Promise<void> {
    const { ring } = this
    if (!this.begun || this.ended) return
    ring.setCommand(Command.FINISH)
    this.writtenAt = performance.now()
    const deadline = this.writtenAt + LONG
    while (!this.ended && this.busy(Infinity) && performance.now() < deadline && !late())
      await sleep(LOOK_EVERY)
    await this.giveUp()
  }

  /** Unless it has ended or failed: writes nothing more, and tells the last counts: to a pipe that nobody empties, a part of what was asked for may have been written. */
  async giveUp(): Promise<void> {
    if (this.ended || this.error !== null) return
    this.abandon()
    for (let i = 0; i < ABANDON_DEADLINE / LOOK_EVERY && !this.ended; i++) await sleep(LOOK_EVERY)
  }

  /** Lets the thread write the rest, for a second at most, unless finish() has; ends it. Idempotent. */
  close(): void {
    if (this.closed) return
    this.closed = true
    const { ring } = this
    if (this.begun && !this.ended && this.error === null && !this.slow) {
      ring.setCommand(Command.FINISH)
      ring.waitForState(State.RUNNING, CLOSE_DEADLINE)
    }
    if (ring.state === State.RUNNING) {
      const { begun, slow } = this
      this.abandon()
      if (begun && !slow) ring.waitForState(State.RUNNING, ABANDON_DEADLINE)
    }
    this.thread.end()
  }

  /** Why `unwritten` packets are missing. */
  missing(unwritten: number): IxyError {
    const what = `${unwritten} packets are missing in ${shownName(this.name)}: it`
    return this.ring.state === State.FAILED && !this.slow
      ? new IxyError('IXY_ERR_OUTPUT', `${what} can't be written any more`, 'make room and run again')
      : new IxyError(
          'IXY_ERR_OUTPUT',
          `${what} takes them too slowly, or not at all`,
          'see that it is read, or record to a faster disk',
        )
  }

  /** The thread looks for that every tenth of a second, if it isn't in the middle of a write. */
  private abandon(): void {
    this.slow = true
    this.ring.setCommand(Command.ABANDON)
  }

  fail(error: IxyError): void {
    if (this.error !== null) return
    this.error = error
    this.onError(error)
  }

  private receive(message: FromCaptureThread): void {
    if (message.type === 'failed') this.fail(new IxyError(message.code, message.message))
    else if (message.type === 'complete') this.onComplete(message.gone)
    else if (message.type === 'warning' || message.type === 'progress') this.log(message.type, message.text)
  }
}

/** Throws IXY_ERR_FILE if a file can't be written, as far as that shows without touching it. */
export function checkWritable({ name, owner }: Pick<RecordOptions, 'name' | 'owner'>): void {
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
