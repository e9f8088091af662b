/**
 * A capture on its way into the program: a thread reads it ahead of whoever plays it, into a ring of a fixed size.
 *
 *     const feed = new CaptureFeed({ name: 'in.pcap', ... }, log)
 *     await feed.ready()                          // or why it can't be played
 *     const frames = new RingConsumer(feed.ring)              // in the thread that plays it
 *     while (frames.peek() === Kind.FRAME) { use(frames.memory, frames.offset, frames.length); frames.shift() }
 *     frames.release()
 */
import { IxyError } from '../errors.ts'
import { Command, createRing, RingConsumer, State } from './frame-ring.ts'
import type { FeedSpec, FromCaptureThread, Log } from './messages.ts'
import { CaptureThread } from './start.ts'

/** A capture that fits is read once, however often it is played. */
const RING_BYTES = 16 * 1024 * 1024
/** How long ready() waits for the first packets, milliseconds: a slow source makes the start no later. */
const PATIENCE = 1000

export type FeedOptions = Omit<FeedSpec, 'ring'>

export class CaptureFeed {
  /** For one consumer. */
  readonly ring = createRing(RING_BYTES)
  /** Why the capture can't be played, or not any further. What is in the ring by then still can. */
  error: IxyError | null = null
  private readonly log: Log
  private readonly control: RingConsumer
  private readonly thread: CaptureThread
  private started = false
  private settle = (): void => undefined
  private readonly primed: Promise<void>

  /** Starts the thread. */
  constructor(options: FeedOptions, log: Log) {
    this.log = log
    this.control = new RingConsumer(this.ring)
    this.primed = new Promise((resolve) => (this.settle = resolve))
    this.thread = new CaptureThread(
      { role: 'feed', spec: { ...options, ring: this.ring } },
      (message) => this.receive(message),
      (error) => this.fail(error),
    )
  }

  /**
   * Resolves when the first packets are there, or their source is slow. Throws IXY_ERR_FILE if the capture can't be played,
   * as far as that shows by then. What shows later is IXY_ERR_INPUT, in `error`.
   */
  async ready(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await Promise.race([this.primed, new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE)))])
    clearTimeout(timer)
    if (this.error !== null) throw this.error
    this.started = true
  }

  /** Ends the thread. Idempotent. */
  close(): void {
    this.control.setCommand(Command.ABANDON)
    this.thread.end()
  }

  private receive(message: FromCaptureThread): void {
    if (message.type === 'primed') this.settle()
    else if (message.type === 'warning' || message.type === 'progress') this.log(message.type, message.text)
    else if (message.type === 'failed') {
      const code = this.started && message.code === 'IXY_ERR_FILE' ? 'IXY_ERR_INPUT' : message.code
      this.fail(new IxyError(code, message.message))
    }
  }

  private fail(error: IxyError): void {
    this.error ??= error
    this.settle()
    // A thread that died has not said so itself.
    if (this.control.state === State.RUNNING) this.control.setState(State.FAILED)
  }
}
