/** A capture whose frames several threads share; a thread of its own reads it. */
import { IxyError } from '../errors.ts'
import { BlockProgress } from './blocks.ts'
import type { FromCaptureThread, Log, ShareSpec, SharedCapture } from './messages.ts'
import { CaptureThread } from './start.ts'

export type SharedFeedOptions = Omit<ShareSpec, 'progress'>

type Shared = Extract<FromCaptureThread, { type: 'shared' }>

/** Milliseconds between two lines for a user who waits. */
const TELL_EVERY = 1000

export class SharedFeed {
  readonly capture: SharedCapture
  /** Bytes without FCS, of the frames that were read before the start. */
  readonly averageFrameBytes: number
  /** Rejects when the capture can't be read on, with IXY_ERR_INPUT; never resolves. */
  readonly failed: Promise<never>
  private readonly thread: Thread

  private constructor(thread: Thread, { capture, averageFrameBytes }: Shared) {
    this.thread = thread
    this.failed = thread.failed
    this.capture = capture
    this.averageFrameBytes = averageFrameBytes
  }

  /**
   * Reads the capture, or as much of it as is kept in memory, for `readers`; null if `stop` is aborted meanwhile. Throws
   * IXY_ERR_FILE if it can't be used or nothing in it can be sent.
   */
  static async open(
    options: SharedFeedOptions,
    readers: number,
    log: Log,
    stop: AbortSignal,
  ): Promise<SharedFeed | null> {
    const thread = new Thread(options, readers, log)
    const teller = setInterval(() => {
      const read = Math.floor(thread.bytesRead / 2 ** 20)
      if (read > 0) log('progress', `reading ${options.name}: ${read} MiB of packets so far`)
    }, TELL_EVERY)
    let abort = (): void => undefined
    const aborted = new Promise<null>((resolve) => (abort = () => resolve(null)))
    stop.addEventListener('abort', abort)
    try {
      const shared = stop.aborted ? null : await Promise.race([thread.shared, thread.failed, aborted])
      if (shared !== null) return new SharedFeed(thread, shared)
      thread.end()
      return null
    } catch (error) {
      thread.end()
      throw error
    } finally {
      clearInterval(teller)
      stop.removeEventListener('abort', abort)
    }
  }

  /** Idempotent. */
  close(): void {
    this.thread.end()
  }
}

class Thread {
  bytesRead = 0
  readonly shared: Promise<Shared>
  readonly failed: Promise<never>
  private readonly progress: SharedArrayBuffer
  private readonly thread: CaptureThread

  constructor(options: SharedFeedOptions, readers: number, log: Log) {
    const { name } = options
    const progress = BlockProgress.create(readers)
    this.progress = progress
    let started = false
    let share: (shared: Shared) => void = () => undefined
    let fail: (error: IxyError) => void = () => undefined
    this.shared = new Promise((resolve) => (share = resolve))
    this.failed = new Promise((_, reject) => (fail = reject))
    // Whoever waits for it sees it.
    this.failed.catch(() => undefined)
    this.thread = new CaptureThread(
      { role: 'share', spec: { ...options, progress } },
      (message) => {
        if (message.type === 'read') this.bytesRead = message.bytes
        else if (message.type === 'warning' || message.type === 'progress') log(message.type, message.text)
        else if (message.type === 'failed') {
          const code = started && message.code === 'IXY_ERR_FILE' ? 'IXY_ERR_INPUT' : message.code
          fail(new IxyError(code, message.message))
        } else if (message.type === 'shared') {
          started = true
          if (message.capture.blocks.length > 0) share(message)
          else fail(nothingToSend(name))
        }
      },
      fail,
    )
  }

  end(): void {
    new BlockProgress(this.progress).callOff()
    this.thread.end()
  }
}

function nothingToSend(name: string): IxyError {
  return new IxyError(
    'IXY_ERR_FILE',
    `can't use ${name}: it has no packet that can be sent`,
    'name a capture of Ethernet, or give a larger --mtu if its packets are too long',
  )
}
