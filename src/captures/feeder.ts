/** The thread that reads a capture ahead of whoever plays it. */
import { asIxyError } from '../errors.ts'
import { CalledOff } from './byte-source.ts'
import { Command, Flag, Kind, RingProducer, State } from './frame-ring.ts'
import type { FeedSpec, Tell } from './messages.ts'
import { CaptureReader } from './reader.ts'

/** How often a thread that waits for room looks whether it is to end, milliseconds. */
const LOOK_EVERY = 100

/** Reads until the last round is in the ring, something fails or it is called off; tells the end by the ring's state. */
export async function feed(spec: FeedSpec, tell: Tell): Promise<void> {
  const ring = new RingProducer(spec.ring)
  let state: State = State.DONE
  try {
    await new Feeder(spec, ring, tell).run()
    tell({ type: 'primed' })
  } catch (cause) {
    if (!(cause instanceof CalledOff)) {
      const { code, message } = asIxyError(cause)
      tell({ type: 'failed', code, message })
    }
    state = State.FAILED
  }
  ring.publish()
  ring.setState(state)
}

class Feeder {
  private readonly spec: FeedSpec
  private readonly ring: RingProducer
  private readonly tell: Tell
  private primed = false
  /** Packets of this round that were skipped before the last frame in the ring. */
  private skipped = 0

  constructor(spec: FeedSpec, ring: RingProducer, tell: Tell) {
    this.spec = spec
    this.ring = ring
    this.tell = tell
  }

  async run(): Promise<void> {
    const { spec } = this
    const reader = new CaptureReader(
      spec,
      () => this.calledOff,
      (type, text) => this.tell({ type, text }),
    )
    try {
      for (let round = 1; spec.repeat === 0 || round <= spec.repeat; round++) {
        if (round > 1) reader.rewind()
        await this.readOnce(reader)
        if (this.endRound(reader)) return
      }
    } finally {
      reader.close()
    }
  }

  /** Puts all frames of the capture into the ring. */
  private async readOnce(reader: CaptureReader): Promise<void> {
    this.skipped = 0
    do {
      while (reader.next()) this.put(reader)
      this.tellSkipped(reader)
      this.ring.publish()
      if (this.calledOff) throw new CalledOff()
    } while (await reader.read())
    reader.complainIfEmpty()
  }

  private put(reader: CaptureReader): void {
    const { ring, spec } = this
    const { memory, offset, length, time } = reader
    const flags = (length < spec.shortest ? Flag.PADDED : 0) | (reader.cut ? Flag.CUT : 0)
    const skipped = reader.skipped - this.skipped
    while (!ring.put(memory, offset, length, spec.shortest, flags, time, skipped)) this.waitForRoom(reader)
    this.skipped = reader.skipped
  }

  /** However long it takes until the next frame. */
  private tellSkipped(reader: CaptureReader): void {
    const skipped = reader.skipped - this.skipped
    if (skipped === 0) return
    while (!this.ring.mark(Kind.SKIPPED, 0, skipped)) this.waitForRoom(reader)
    this.skipped = reader.skipped
  }

  /** Returns true if there is nothing more to do: what the ring holds is all that will ever be played. */
  private endRound(reader: CaptureReader): boolean {
    const { ring, spec } = this
    const whole = ring.holdsAll()
    const empty = reader.frames === 0
    const flags = (whole ? Flag.WHOLE : 0) | (empty ? Flag.EMPTY : 0)
    while (!ring.mark(Kind.ROUND_END, flags, 0)) this.waitForRoom(reader)
    ring.publish()
    return whole || empty || spec.repeat === 1
  }

  private get calledOff(): boolean {
    return this.ring.command === Command.ABANDON
  }

  private waitForRoom(reader: CaptureReader): void {
    const { ring } = this
    // More than fits: it has to be read for every round.
    if (this.spec.repeat !== 1) reader.checkRepeatable()
    ring.publish()
    if (!this.primed) this.tell({ type: 'primed' })
    this.primed = true
    ring.waitForRoom(LOOK_EVERY)
    if (this.calledOff) throw new CalledOff()
  }
}
