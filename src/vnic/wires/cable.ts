import type { Bytes } from '../../packet/bytes.ts'
import { FrameQueue } from './frame-queue.ts'
import type { WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** Per direction: some thousand small frames, or a hundred jumbo frames. */
const QUEUE_BYTES = 1024 * 1024
/**
 * How long a frame waits for a descriptor before it goes on regardless, into the NIC's packet buffer until that is full and
 * then to be missed, milliseconds. Long enough for a busy host, too short for the sender's watchdog: a host that has
 * stopped receiving must not stop the sender.
 */
const PATIENCE = 100

/**
 * One end of a cable between two virtual NICs, or of the NIC's own loop. Both ends must be polled by the same thread.
 *
 * With flow control, as Ethernet's PAUSE: a NIC whose peer has no descriptor free is held up, but not for longer than
 * PATIENCE. What then finds the cable full is dropped (`overrun`), and what comes while the peer isn't listening is lost there
 * (`undelivered`).
 */
export class CableEnd implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite = false
  private readonly text: string
  private readonly outgoing: FrameQueue
  private readonly incoming: FrameQueue
  private readonly stuckOut = new Patience()
  private readonly stuckIn = new Patience()
  private arrived = 0
  private sent = 0
  private undelivered = 0
  private overrun = 0
  private stopped = false

  constructor(text: string, outgoing: FrameQueue, incoming: FrameQueue) {
    this.text = text
    this.outgoing = outgoing
    this.incoming = incoming
  }

  poll(port: Port, budget: number, now: number): number {
    const { incoming } = this
    if (incoming.empty) return 0
    let ready = port.room()
    if (ready > 0) this.stuckIn.reset()
    else if (!port.listening() || this.stuckIn.exhausted(now)) ready = budget
    const limit = Math.min(budget, ready)
    let count = 0
    while (count < limit && !incoming.empty) {
      this.sent++
      if (!port.deliver(incoming.memory, incoming.offset, incoming.length)) this.undelivered++
      incoming.shift()
      count++
    }
    return count
  }

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    if (this.outgoing.push(memory, offset, length)) {
      this.stuckOut.reset()
    } else {
      // The other end isn't polled any more, or far too slow.
      if (!this.stuckOut.exhausted(now)) return false
      this.overrun++
    }
    this.arrived++
    return true
  }

  nextEvent(now: number): number {
    return this.incoming.empty ? Infinity : this.stuckIn.end(now)
  }

  /** What is on its way still arrives after stop(): a cable sends nothing of its own. */
  ended(): boolean {
    return this.stopped && this.incoming.empty
  }

  stop(): void {
    this.stopped = true
  }

  /** `arrived`: from the NIC. `overrun`: of these, dropped for lack of space. `sent`: to the NIC. */
  reports(): WireReport[] {
    const { arrived, overrun, sent, undelivered } = this
    return [{ wire: this.text, counters: { arrived, overrun, sent, undelivered } }]
  }

  /** What this end sends comes from the other one, which may be this one (a loop). */
  account(): WireAccount {
    const { arrived, overrun, sent, outgoing, text } = this
    const held = outgoing.frames
    const lost = overrun > 0 ? [{ place: text, cause: 'overrun', frames: overrun }] : []
    return {
      in: { offered: 0, returned: sent, copies: 0, corrupted: 0, held: 0, lost: [] },
      out: { arrived: arrived - overrun - held, books: false, copies: 0, corrupted: 0, held, lost },
      generators: [],
    }
  }

  close(): void {
    this.stopped = true
  }
}

/** The two ends of a cable; `names` are those of the NICs they are plugged into, for the reports. */
export function cable(
  names: readonly [string, string],
  capacity = QUEUE_BYTES,
): readonly [CableEnd, CableEnd] {
  const [a, b] = [new FrameQueue(capacity), new FrameQueue(capacity)]
  return [new CableEnd(`cable to ${names[1]}`, a, b), new CableEnd(`cable to ${names[0]}`, b, a)]
}

/** A cable from the NIC to itself. */
export function loop(text: string, capacity = QUEUE_BYTES): CableEnd {
  const queue = new FrameQueue(capacity)
  return new CableEnd(text, queue, queue)
}

/** Time since something got stuck. Stays exhausted until there is room again. */
class Patience {
  private since = -1

  exhausted(now: number): boolean {
    if (this.since < 0) this.since = now
    return now - this.since >= PATIENCE
  }

  /** When it will be exhausted: `now` at the earliest. */
  end(now: number): number {
    return this.since < 0 ? now : Math.max(now, this.since + PATIENCE)
  }

  reset(): void {
    this.since = -1
  }
}
