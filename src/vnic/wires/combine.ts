import type { Bytes } from '../../packet/bytes.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** Several wires in one port, as behind a hub: each may send, and each gets whatever the NIC sends. */
export class CombinedWire implements Wire {
  readonly wakeFds: readonly number[]
  readonly finite: boolean
  private readonly parts: readonly Wire[]
  /** The part that comes first in the next poll, so that none starves. */
  private first = 0
  /** How many parts have taken the frame that the next one refused. */
  private taken = 0

  constructor(parts: readonly Wire[]) {
    this.parts = parts
    this.wakeFds = parts.flatMap((part) => [...part.wakeFds])
    this.finite = parts.some((part) => part.finite)
  }

  poll(port: Port, budget: number, now: number): number {
    const { parts } = this
    let index = this.first
    this.first = index + 1 < parts.length ? index + 1 : 0
    let moved = 0
    for (let i = 0; i < parts.length; i++) {
      // A part without budget left is polled all the same: it may have a file to flush.
      moved += parts[index].poll(port, budget - moved, now)
      index = index + 1 < parts.length ? index + 1 : 0
    }
    return moved
  }

  /** After false the same frame is expected again, and offered to the parts that haven't had it. */
  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    const { parts } = this
    for (let i = this.taken; i < parts.length; i++) {
      if (!parts[i].send(memory, offset, length, now)) {
        this.taken = i
        return false
      }
    }
    this.taken = 0
    return true
  }

  nextEvent(now: number): number {
    let next = Infinity
    for (const part of this.parts) next = Math.min(next, part.nextEvent(now))
    return next
  }

  /** If some parts have an end and others haven't, those that have count. */
  ended(): boolean {
    return this.parts.every((part) => part.ended() || (this.finite && !part.finite))
  }

  stop(): void {
    for (const part of this.parts) part.stop()
  }

  reports(): WireReport[] {
    return this.parts.flatMap((part) => part.reports())
  }

  /** Closes all parts, then throws the first error if there was one. */
  close(): void {
    let failed = false
    let first: unknown
    for (const part of this.parts) {
      try {
        part.close()
      } catch (error) {
        if (!failed) first = error
        failed = true
      }
    }
    if (failed) throw first
  }
}
