/** The thread that writes a capture behind the virtual NIC's back. */
import { asIxyError } from '../errors.ts'
import { CalledOff } from './byte-source.ts'
import { CaptureWriter } from './capture-writer.ts'
import { Command, Kind, RingConsumer, State } from './frame-ring.ts'
import type { RecordSpec, Tell } from './messages.ts'

/** Longest time without a look, milliseconds. */
const LOOK_EVERY = 1000
/** After it was woken it waits so long, milliseconds, for more to come: a write for each frame would be a waste. */
const GATHER = 2
/** Bytes after which the ring gets its memory back, and progress is told. */
const STRETCH = 128 * 1024

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Writes what comes through the ring until it is told to finish; tells the end by the ring's state. */
export function record(spec: RecordSpec, tell: Tell): void {
  const ring = new RingConsumer(spec.ring)
  let state: State = State.DONE
  try {
    new Recorder(spec, ring, tell).run()
  } catch (cause) {
    if (!(cause instanceof CalledOff)) {
      const { code, message } = asIxyError(cause)
      tell({ type: 'failed', code, message })
    }
    state = State.FAILED
  }
  ring.setState(state)
}

class Recorder {
  private readonly ring: RingConsumer
  private readonly progress: Float64Array
  private readonly writer: CaptureWriter
  /** The second from which times count: said once, before the first frame. */
  private clock = 0

  constructor(spec: RecordSpec, ring: RingConsumer, tell: Tell) {
    this.ring = ring
    this.progress = new Float64Array(spec.progress)
    this.writer = new CaptureWriter(spec, {
      calledOff: () => {
        this.tellProgress()
        return this.abandoned()
      },
      waiting: () => tell({ type: 'progress', text: `${spec.name}: waiting for a reader` }),
    })
  }

  run(): void {
    const { ring, writer } = this
    while (ring.command === Command.WAIT) ring.waitForCommand(Command.WAIT, LOOK_EVERY)
    if (this.abandoned()) return
    try {
      writer.open()
      for (;;) {
        // Whatever came before this is in the ring.
        const finishing = ring.command === Command.FINISH
        this.drain()
        if (finishing) return
        ring.wait(LOOK_EVERY)
        if (ring.command === Command.GO) Atomics.wait(NEVER, 0, 0, GATHER)
      }
    } finally {
      try {
        writer.close()
      } finally {
        this.tellProgress()
      }
    }
  }

  /** Writes all that is in the ring. */
  private drain(): void {
    const { ring, writer } = this
    let stretch = 0
    for (let kind = ring.peek(); kind !== Kind.NONE; kind = ring.peek()) {
      if (kind === Kind.CLOCK) this.clock = ring.number
      else stretch += this.write()
      ring.shift()
      if (stretch < STRETCH) continue
      stretch = 0
      ring.release()
      this.tellProgress()
      if (this.abandoned()) throw new CalledOff()
    }
    ring.release()
    writer.flush()
    this.tellProgress()
  }

  private write(): number {
    const { ring, writer } = this
    const { time, length } = ring
    const seconds = Math.floor(time / 1000)
    const nanoseconds = Math.floor((time - seconds * 1000) * 1e6)
    writer.write(ring.memory, ring.offset, length, ring.number, this.clock + seconds, nanoseconds)
    return length
  }

  private abandoned(): boolean {
    return this.ring.command === Command.ABANDON
  }

  private tellProgress(): void {
    this.progress[0] = this.writer.recorded
    this.progress[1] = this.writer.written
  }
}
