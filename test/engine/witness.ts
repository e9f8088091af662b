/**
 * Stands between a card and the wire in its port, and counts for itself what goes by, frame by frame: the judge of all that
 * the card's registers, the driver, the workers and the wire say about the same frames.
 */
import type { Bytes } from '../../src/packet/bytes.ts'
import type { Burst } from '../../src/vnic/burst.ts'
import type { WireAccount } from '../../src/vnic/wires/account.ts'
import type { Port, Wire, WireReport } from '../../src/vnic/wires/wire.ts'

/** Upper bounds of the classes of sizes, with FCS (82599 §8.2.3.23.8 ff.). */
const CLASSES = [64, 127, 255, 511, 1023, Infinity]

export class Tally {
  frames = 0
  /** Without FCS. */
  bytes = 0
  multicast = 0
  broadcast = 0
  readonly sizes = CLASSES.map(() => 0)

  add({ u8 }: Bytes, offset: number, length: number): void {
    this.frames++
    this.bytes += length
    let size = 0
    while (length + 4 > CLASSES[size]) size++
    this.sizes[size]++
    if ((u8[offset] & 1) === 0) return
    if (u8.subarray(offset, offset + 6).every((byte) => byte === 0xff)) this.broadcast++
    else this.multicast++
  }

  addBurst({ memory, offsets, lengths, first }: Burst, count: number): void {
    for (let i = first; i < first + count; i++) this.add(memory, offsets[i], lengths[i])
  }
}

export class Witness implements Wire {
  /** From the card onto the wire. */
  readonly sent = new Tally()
  /** From the wire to the card: all, and what it did not drop at once. A card pads what is too short. */
  readonly offered = new Tally()
  readonly taken = new Tally()
  readonly wakeFds: readonly number[]
  readonly finite: boolean
  readonly sendBurst?: (burst: Burst, now: number) => number
  private readonly wire: Wire
  private port: Port | null = null
  private behind: Port | null = null

  constructor(wire: Wire) {
    this.wire = wire
    this.wakeFds = wire.wakeFds
    this.finite = wire.finite
    if (wire.sendBurst !== undefined)
      this.sendBurst = (burst, now) => {
        const count = wire.sendBurst?.(burst, now) ?? 0
        this.sent.addBurst(burst, count)
        return count
      }
  }

  poll(port: Port, budget: number, now: number): number {
    if (this.behind !== port || this.port === null) this.port = this.watch(port)
    this.behind = port
    return this.wire.poll(this.port, budget, now)
  }

  private watch(port: Port): Port {
    const { offered, taken } = this
    return {
      room: () => port.room(),
      deliver: (memory, offset, length, left) => {
        offered.add(memory, offset, Math.max(60, length))
        const kept = port.deliver(memory, offset, length, left)
        if (kept) taken.add(memory, offset, Math.max(60, length))
        return kept
      },
      deliverBurst: (burst) => {
        offered.addBurst(burst, burst.count)
        const count = port.deliverBurst(burst)
        // Only generators send bursts; their frames have one size here, so that it doesn't matter which of them were dropped.
        taken.addBurst(burst, count)
        return count
      },
      control: (memory, offset, length) => port.control(memory, offset, length),
      listening: () => port.listening(),
      setLink: (up) => port.setLink(up),
      get pausedUntil() {
        return port.pausedUntil
      },
    }
  }

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    const taken = this.wire.send(memory, offset, length, now)
    if (taken) this.sent.add(memory, offset, length)
    return taken
  }

  nextEvent(now: number): number {
    return this.wire.nextEvent(now)
  }

  ended(): boolean {
    return this.wire.ended()
  }

  stop(): void {
    this.wire.stop()
  }

  reports(): WireReport[] {
    return this.wire.reports()
  }

  account(): WireAccount {
    return this.wire.account()
  }

  close(): void {
    this.wire.close()
  }
}
