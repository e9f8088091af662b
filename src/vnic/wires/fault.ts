import type { Bytes } from '../../packet/bytes.ts'
import type { Burst } from '../burst.ts'
import { FaultLane, type FaultRates } from './fault-lane.ts'
import { addPath, type Path, type WireAccount } from './account.ts'
import { deliverEach, type Port, type Wire, type WireReport } from './wire.ts'

/** How long a frame is held back at most for the next one to overtake it, milliseconds. */
const HOLD = 10

export interface FaultOptions extends FaultRates {
  /** Milliseconds plugged and unplugged, in turn, from the first moment the host listens; null: always plugged. */
  readonly linkFlap: { readonly plugged: number; readonly unplugged: number } | null
  /** Milliseconds from the start until the cable is plugged in for the first time. */
  readonly unplugged: number
  readonly seed: number
}

/**
 * A faulty cable between the NIC and the wires behind it, in both directions: "in" is towards the NIC, "out" is what
 * the NIC sends. Each direction draws its own random numbers from the seed, so that the faults depend on the number of
 * the frame in its direction only.
 *
 * - drop: the frame vanishes.
 * - corrupt: one bit is flipped, behind the NIC's FCS check, but not where a generated frame says which one it is.
 * - dup: the frame comes twice.
 * - reorder: the next frame overtakes this one.
 * - linkflap: the cable is out now and then; what is sent meanwhile vanishes.
 * - unplugged: the cable is out at first.
 */
export class FaultWire implements Wire {
  readonly wakeFds: readonly number[]
  readonly finite: boolean
  private readonly text: string
  private readonly inner: Wire
  private readonly options: FaultOptions
  private readonly in: FaultLane
  private readonly out: FaultLane
  private readonly faultyPort: FaultyPort
  private now = 0
  /** When the cable is plugged or unplugged next. */
  private nextFlap = Infinity
  private begun = false
  private flapping = false
  private unplugged = false
  private linkFlaps = 0
  /** While the cable was out, towards the NIC and from it. */
  private inUnplugged = 0
  private outUnplugged = 0
  private stopped = false

  constructor(text: string, options: FaultOptions, inner: Wire) {
    this.text = text
    this.options = options
    this.inner = inner
    this.wakeFds = inner.wakeFds
    this.finite = inner.finite
    this.faultyPort = new FaultyPort((memory, offset, length) => this.deliver(memory, offset, length))
    this.in = new FaultLane(
      options,
      options.seed * 2,
      (memory, offset, length) => this.faultyPort.real.deliver(memory, offset, length),
      false,
    )
    this.out = new FaultLane(
      options,
      options.seed * 2 + 1,
      (memory, offset, length) => inner.send(memory, offset, length, this.now),
      true,
    )
  }

  poll(port: Port, budget: number, now: number): number {
    this.now = now
    this.faultyPort.real = port
    this.flap(port, now)
    let moved = 0
    if (this.out.holding && now >= this.out.holdingSince + HOLD && this.out.release()) moved++
    if (this.in.holding && now >= this.in.holdingSince + HOLD && this.in.release()) moved++
    this.faultyPort.most = this.in.most
    this.faultyPort.held = this.in.holding ? 1 : 0
    return moved + this.inner.poll(this.faultyPort, budget, now)
  }

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    this.now = now
    if (!this.unplugged) return this.out.pass(memory, offset, length, now)
    this.outUnplugged++
    return true
  }

  nextEvent(now: number): number {
    let next = Math.min(this.nextFlap, this.inner.nextEvent(now))
    if (this.in.holding) next = Math.min(next, this.in.holdingSince + HOLD)
    if (this.out.holding) next = Math.min(next, this.out.holdingSince + HOLD)
    return Math.max(now, next)
  }

  ended(): boolean {
    return this.inner.ended() && !this.in.holding
  }

  /** A cable that is out is plugged when its time comes, and then stays plugged. */
  stop(): void {
    this.stopped = true
    this.inner.stop()
  }

  /** `inReordered`, `outReordered`: overtaken by one frame. `lostUnplugged`: in both directions, while the cable was out. */
  reports(): WireReport[] {
    const { in: into, out, linkFlaps, inUnplugged, outUnplugged } = this
    const counters = {
      inDropped: into.dropped,
      inCorrupted: into.corrupted,
      inDuplicated: into.duplicated,
      inReordered: into.reordered,
      outDropped: out.dropped,
      outCorrupted: out.corrupted,
      outDuplicated: out.duplicated,
      outReordered: out.reordered,
      linkFlaps,
      lostUnplugged: inUnplugged + outUnplugged,
    }
    return [...this.inner.reports(), { wire: this.text, counters }]
  }

  account(): WireAccount {
    const { in: into, out, generators } = this.inner.account()
    return {
      in: { ...into, ...addPath(into, this.path(this.in, this.inUnplugged)) },
      out: { ...out, ...addPath(out, this.path(this.out, this.outUnplugged)) },
      generators,
    }
  }

  private path(lane: FaultLane, unplugged: number): Path {
    const place = this.text
    return {
      copies: lane.duplicated,
      corrupted: lane.corrupted,
      held: lane.holding ? 1 : 0,
      lost: [
        { place, cause: 'dropped', frames: lane.dropped },
        { place, cause: 'unplugged', frames: unplugged },
      ],
    }
  }

  close(): void {
    this.inner.close()
  }

  private deliver(memory: Bytes, offset: number, length: number): boolean {
    if (!this.unplugged) return this.in.pass(memory, offset, length, this.now)
    this.inUnplugged++
    return true
  }

  private flap(port: Port, now: number): void {
    const { linkFlap: times, unplugged } = this.options
    if (times === null && unplugged === 0) return
    if (unplugged > 0 && !this.begun) {
      this.begun = true
      this.unplugged = true
      port.setLink(false)
      this.nextFlap = now + unplugged
    }
    if (!this.flapping && !this.unplugged && times !== null) {
      if (!port.listening()) return
      this.flapping = true
      this.nextFlap = now + times.plugged
    }
    if (now < this.nextFlap) return
    if (this.unplugged) {
      this.unplugged = false
      port.setLink(true)
      this.nextFlap = Infinity
      if (times !== null && this.flapping && !this.stopped) this.nextFlap = now + times.plugged
    } else if (this.stopped || times === null) {
      this.nextFlap = Infinity
    } else {
      this.unplugged = true
      this.inUnplugged += this.in.clear()
      this.outUnplugged += this.out.clear()
      port.setLink(false)
      this.linkFlaps++
      this.nextFlap = now + times.unplugged
    }
  }
}

/** The NIC's port as the wires behind the fault see it. */
class FaultyPort implements Port {
  real: Port = NO_PORT
  /** Frames that may come out for each that goes in, and one that is held already: they take descriptors, too. */
  most = 1
  held = 0
  private readonly pass: Port['deliver']

  constructor(pass: Port['deliver']) {
    this.pass = pass
  }

  room(): number {
    const room = this.real.room() - this.held
    return this.most === 1 ? room : room >> 1
  }

  deliver(memory: Bytes, offset: number, length: number): boolean {
    return this.pass(memory, offset, length)
  }

  control(memory: Bytes, offset: number, length: number): boolean {
    return this.real.control(memory, offset, length)
  }

  get pausedUntil(): number {
    return this.real.pausedUntil
  }

  deliverBurst(burst: Burst): number {
    return deliverEach(this, burst)
  }

  listening(): boolean {
    return this.real.listening()
  }

  setLink(up: boolean): void {
    this.real.setLink(up)
  }
}

const NO_PORT: Port = {
  room: () => 0,
  deliver: () => false,
  control: () => false,
  pausedUntil: 0,
  deliverBurst: () => 0,
  listening: () => false,
  setLink: () => undefined,
}
