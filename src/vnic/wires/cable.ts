import type { Bytes } from '../../packet/bytes.ts'
import { FrameQueue } from './frame-queue.ts'
import type { WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** Per direction: some thousand small frames, or a hundred jumbo frames. */
const QUEUE_BYTES = 1024 * 1024
/**
 * How long something waits that is stuck, milliseconds. Long enough for a busy host, too short for the sender's watchdog: a host
 * that has stopped receiving must not stop the sender.
 */
const PATIENCE = 100

/** One end of a line that ends in virtual NICs. All ends must be polled by the same thread. */
export abstract class LineEnd implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite = false
  protected readonly text: string
  protected readonly incoming: FrameQueue
  protected sent = 0
  protected readonly outgoing: FrameQueue
  protected readonly stuckOut = new Patience()
  protected arrived = 0
  protected overrun = 0
  private undelivered = 0
  private stopped = false

  constructor(text: string, outgoing: FrameQueue, incoming: FrameQueue) {
    this.text = text
    this.outgoing = outgoing
    this.incoming = incoming
  }

  abstract poll(port: Port, budget: number, now: number): number
  abstract nextEvent(now: number): number

  /** Hands the first frame over, which has left the other NIC at this time. */
  protected deliver(port: Port, left?: number): void {
    const { incoming } = this
    this.sent++
    if (!port.deliver(incoming.memory, incoming.offset, incoming.length, left)) this.undelivered++
    incoming.shift()
  }

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    if (this.outgoing.push(memory, offset, length)) {
      this.stuckOut.reset()
    } else {
      // The other end isn't polled any more.
      if (!this.stuckOut.exhausted(now)) return false
      this.overrun++
    }
    this.arrived++
    return true
  }

  /** What is on its way still arrives after stop(): a line sends nothing of its own. */
  ended(): boolean {
    return this.stopped && this.incoming.empty
  }

  stop(): void {
    this.stopped = true
  }

  /** `arrived`: from the NIC. `overrun`: of these, dropped for lack of space. `sent`: to the NIC. */
  reports(): WireReport[] {
    return [{ wire: this.text, counters: this.counters() }]
  }

  protected counters(): Record<string, number> {
    const { arrived, overrun, sent, undelivered } = this
    return { arrived, overrun, sent, undelivered }
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

/**
 * One end of a cable between two virtual NICs. It holds nobody up: what the other NIC has no descriptor for goes into its packet
 * buffer, and is missed when that is full; unless its host has asked for flow control, and the other one obeys. The MACs then
 * talk to each other by PAUSE frames, which overtake what waits here: that counts as still in the sender's card, and stays there
 * while the sender is to be silent.
 */
export class CableEnd extends LineEnd {
  /** The other end. Set by cable(). */
  peer: CableEnd | null = null
  private port: Port | null = null
  /** PAUSE frames from the NIC. */
  private pauses = 0
  /** Frames that this end has handed over. */
  private taken = 0
  /** Of those that wait for it and have a time stamp: how many it hands over before, and the time. */
  private readonly stamps: { readonly before: number; readonly left: number }[] = []

  poll(port: Port, budget: number, now: number): number {
    this.port = port
    // However long the other NIC has to be silent: what it has put in here is not lost.
    this.peer?.stuckOut.reset()
    const { incoming, stamps } = this
    // Looked at before each frame: one that is delivered may make this NIC ask for silence.
    const sender = this.peer?.port ?? null
    let count = 0
    while (count < budget && !incoming.empty && (sender === null || now >= sender.pausedUntil)) {
      this.deliver(port, stamps.length > 0 ? this.stampOfFirst() : undefined)
      this.taken++
      count++
    }
    return count
  }

  stamped(left: number): void {
    const { peer, outgoing } = this
    if (peer !== null && !outgoing.empty) peer.stamps.push({ before: peer.taken + outgoing.frames - 1, left })
  }

  /** When the first of the frames that wait has left the other NIC, if it has a time stamp. */
  private stampOfFirst(): number | undefined {
    const [{ before, left }] = this.stamps
    if (before > this.taken) return undefined
    this.stamps.shift()
    return before === this.taken ? left : undefined
  }

  /** At once, also into the other NIC. */
  control(memory: Bytes, offset: number, length: number): void {
    this.pauses++
    const { peer } = this
    if (peer?.port?.control(memory, offset, length) === true) peer.sent++
  }

  nextEvent(now: number): number {
    return this.incoming.empty ? Infinity : Math.max(now, this.peer?.port?.pausedUntil ?? now)
  }

  protected override counters(): Record<string, number> {
    return { ...super.counters(), pauses: this.pauses }
  }
}

/**
 * A plug that gives a NIC back what it sends. It waits until there is a descriptor, but not for longer than PATIENCE: who sends
 * is who receives, and would otherwise lose what it has not come to take yet.
 */
class Loop extends LineEnd {
  private readonly stuckIn = new Patience()

  poll(port: Port, budget: number, now: number): number {
    const { incoming } = this
    if (incoming.empty) return 0
    let ready = port.room()
    if (ready > 0) this.stuckIn.reset()
    else if (!port.listening() || this.stuckIn.exhausted(now)) ready = budget
    const limit = Math.min(budget, ready)
    let count = 0
    while (count < limit && !incoming.empty) {
      this.deliver(port)
      count++
    }
    return count
  }

  nextEvent(now: number): number {
    return this.incoming.empty ? Infinity : this.stuckIn.end(now)
  }
}

/** The two ends of a cable; `names` are those of the NICs they are plugged into, for the reports. */
export function cable(
  names: readonly [string, string],
  capacity = QUEUE_BYTES,
): readonly [CableEnd, CableEnd] {
  const [a, b] = [new FrameQueue(capacity), new FrameQueue(capacity)]
  const ends = [
    new CableEnd(`cable to ${names[1]}`, a, b),
    new CableEnd(`cable to ${names[0]}`, b, a),
  ] as const
  ends[0].peer = ends[1]
  ends[1].peer = ends[0]
  return ends
}

/** A cable from the NIC to itself. */
export function loop(text: string, capacity = QUEUE_BYTES): Wire {
  const queue = new FrameQueue(capacity)
  return new Loop(text, queue, queue)
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
