import { allocateBytes, type Bytes, copyBytes } from '../../../src/packet/bytes.ts'
import type { Burst } from '../../../src/vnic/burst.ts'
import { deliverEach, type Port, type Wire } from '../../../src/vnic/wires/wire.ts'

/** A NIC's port that keeps what it gets. */
export class FakePort implements Port {
  /** Descriptors the host has free. */
  descriptors: number
  up = true
  receiving = true
  /** Frames delivered, in order. */
  readonly frames: Bytes[] = []
  readonly lengths: number[] = []
  missed = 0
  pausedUntil = 0
  /** What the far end's MAC has sent. */
  readonly controls: Buffer[] = []
  /** The MAC passes those on. */
  passesControl = false

  constructor(descriptors = Infinity) {
    this.descriptors = descriptors
  }

  room(): number {
    return this.listening() ? this.descriptors : 0
  }

  deliver(memory: Bytes, offset: number, length: number): boolean {
    if (this.room() === 0) {
      this.missed++
      return false
    }
    this.descriptors--
    const copy = allocateBytes(length)
    copyBytes(memory, offset, copy, 0, length)
    this.frames.push(copy)
    this.lengths.push(length)
    return true
  }

  control(memory: Bytes, offset: number, length: number): boolean {
    this.controls.push(Buffer.from(memory.u8.slice(offset, offset + length)))
    return this.passesControl
  }

  deliverBurst(burst: Burst): number {
    return deliverEach(this, burst)
  }

  listening(): boolean {
    return this.up && this.receiving
  }

  setLink(up: boolean): void {
    this.up = up
  }

  /** Takes out everything that was delivered. */
  take(): Buffer[] {
    const lengths = this.lengths.splice(0)
    return this.frames.splice(0).map(({ u8 }, i) => Buffer.from(u8.buffer, 0, lengths[i]))
  }

  /** Sends everything that was delivered into `wire`, as a NIC would whose host forwards it; takes it out. */
  forward(wire: Wire, now = 0): void {
    this.frames.forEach((frame, i) => {
      if (!wire.send(frame, 0, this.lengths[i], now)) throw new Error('refused')
    })
    this.frames.length = this.lengths.length = 0
  }
}

/** A frame of `length` bytes; all frames with different `seed` differ. */
export function someFrame(seed: number, length = 60): Bytes {
  const frame = allocateBytes(length)
  for (let i = 0; i < length; i++) frame.u8[i] = (seed >>> (8 * (i & 3))) ^ i
  return frame
}

/** Polls as a NIC's loop does, until the wire has nothing more to do at `now`. */
export function pollAll(wire: Wire, port: Port, now = 0, budget = 64): number {
  let moved = 0
  for (;;) {
    const count = wire.poll(port, budget, now)
    if (count === 0) return moved
    moved += count
  }
}

export function countersOf(wire: Wire, part = 0): Readonly<Record<string, number>> {
  return wire.reports()[part].counters
}
