/** The thread that writes a capture behind the back of those who have the packets. */
import { asIxyError } from '../errors.ts'
import { CalledOff } from './byte-source.ts'
import { CaptureWriter, isReaderGone } from './capture-writer.ts'
import { CaptureCounts } from './counts.ts'
import { Command, RingConsumer, State } from './frame-ring.ts'
import { type Layout, PcapLayout, type Stamp } from './layout.ts'
import { Merge } from './merge.ts'
import type { RecordSpec, Tell } from './messages.ts'
import { PcapngLayout } from './pcapng-layout.ts'
import { Progress } from './progress.ts'

/** Longest time without a look, milliseconds; the same where the next file may be due. */
const LOOK_EVERY = 1000
const LOOK_AT_TIME_EVERY = 50
/** After it was woken it waits so long, milliseconds, for more to come: a write for each frame would be a waste. */
const GATHER = 2
/** Several queues wake nobody: milliseconds between two looks at them. */
const LOOK_AT_SEVERAL = 5
/** Bytes after which the rings get their memory back, and progress is told. */
const STRETCH = 128 * 1024

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Writes what comes through the rings until it is told to finish; tells the end by the first ring's state. */
export function record(spec: RecordSpec, tell: Tell): void {
  const rings = spec.rings.map((ring) => new RingConsumer(ring))
  let state: State = State.DONE
  try {
    new Recorder(spec, rings, tell).run()
  } catch (cause) {
    if (isReaderGone(cause)) tell({ type: 'complete', gone: true })
    if (!(cause instanceof CalledOff)) {
      const { code, message } = asIxyError(cause)
      tell({ type: 'failed', code, message })
    }
    state = State.FAILED
  }
  rings[0].setState(state)
}

class Recorder {
  private readonly rings: readonly RingConsumer[]
  private readonly first: RingConsumer
  private readonly progress: Progress
  private readonly writer: CaptureWriter
  private readonly tell: Tell
  private readonly stamp: Stamp = { seconds: 0, nanoseconds: 0, originalLength: 0, queue: 0, drops: 0 }
  private readonly merge: Merge
  /** The second from which times count. */
  private clock = 0
  private readonly lookEvery: number
  private told = false

  constructor(spec: RecordSpec, rings: readonly RingConsumer[], tell: Tell) {
    this.rings = rings
    this.first = rings[0]
    this.tell = tell
    this.lookEvery = spec.limits.fileSeconds === null ? LOOK_EVERY : LOOK_AT_TIME_EVERY
    this.merge = new Merge(rings)
    this.progress = new Progress(spec.progress)
    this.writer = new CaptureWriter(spec, layoutOf(spec), {
      calledOff: () => {
        this.tellProgress()
        return this.abandoned()
      },
      waiting: () => tell({ type: 'progress', text: `${spec.name}: waiting for a reader` }),
    })
  }

  run(): void {
    const { first, writer, progress } = this
    while (first.command === Command.WAIT) first.waitForCommand(Command.WAIT, LOOK_EVERY)
    if (this.abandoned()) return
    this.clock = progress.clock
    try {
      writer.open()
      for (;;) {
        // Whatever came before this is in the rings.
        const finishing = first.command === Command.FINISH
        this.drain(finishing ? Infinity : this.merge.settledAt(progress.sinceClock()))
        if (finishing) return
        this.wait()
      }
    } finally {
      try {
        writer.close()
      } finally {
        this.tellProgress()
      }
    }
  }

  private wait(): void {
    if (this.rings.length > 1) Atomics.wait(NEVER, 0, 0, LOOK_AT_SEVERAL)
    else {
      this.first.wait(this.lookEvery)
      if (this.first.command === Command.GO) Atomics.wait(NEVER, 0, 0, GATHER)
    }
  }

  /** Writes all that is in the rings and came before `until`, in the order in which it came. What comes after the end is dropped. */
  private drain(until: number): void {
    const { writer, merge } = this
    let stretch = 0
    for (let queue = merge.next(until); queue >= 0; queue = merge.next(until)) {
      stretch += this.write(queue)
      this.rings[queue].shift()
      if (stretch < STRETCH) continue
      stretch = 0
      this.release()
      if (this.abandoned()) throw new CalledOff()
      writer.look()
    }
    this.release()
    writer.look()
    writer.flush()
    this.tellProgress()
    if (!writer.complete || this.told) return
    this.told = true
    this.tell({ type: 'complete', gone: false })
  }

  private write(queue: number): number {
    const { stamp } = this
    const { drops } = this.merge
    const ring = this.rings[queue]
    const { time, length } = ring
    const seconds = Math.floor(time / 1000)
    stamp.seconds = this.clock + seconds
    stamp.nanoseconds = Math.floor((time - seconds * 1000) * 1e6)
    stamp.originalLength = ring.number
    stamp.queue = queue
    stamp.drops = drops[queue]
    drops[queue] = 0
    this.writer.write(ring.memory, ring.offset, length, stamp)
    return length
  }

  private release(): void {
    this.merge.release()
    this.tellProgress()
  }

  private abandoned(): boolean {
    return this.first.command === Command.ABANDON
  }

  private tellProgress(): void {
    const { recorded, written, files } = this.writer
    this.progress.tell(recorded, written, files)
  }
}

function layoutOf({ snapLength, pcapng }: RecordSpec): Layout {
  if (pcapng === null) return new PcapLayout(snapLength)
  return new PcapngLayout(snapLength, pcapng.facts, new CaptureCounts(pcapng.counts))
}
