import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { takeAllSteps } from '../../undo.ts'
import { plainAccount, sumAccounts, type WireAccount } from './account.ts'
import { LONGEST_FRAME, type Port, type Wire, type WireReport } from './wire.ts'

/** Several wires in one port, as behind a hub: each may send, and each gets whatever the NIC sends. */
export class CombinedWire implements Wire {
  readonly wakeFds: readonly number[]
  readonly finite: boolean
  private readonly parts: readonly Wire[]
  /** The part that comes first in the next poll, so that none starves. */
  private first = 0
  /** A frame that some parts have taken and one has refused: its copy, its length (0: none), and who refused it. */
  private readonly held = allocateBytes(LONGEST_FRAME)
  private heldLength = 0
  private heldFor = 0
  /** How many parts, from the first on, a frame has to reach to have arrived, and the one at which that is counted. */
  private readonly ends: number
  private readonly end: number

  constructor(parts: readonly Wire[], ends = parts.length, end = 0) {
    this.parts = parts
    this.ends = ends
    this.end = end
    this.wakeFds = parts.flatMap((part) => [...part.wakeFds])
    this.finite = parts.some((part) => part.finite)
  }

  poll(port: Port, budget: number, now: number): number {
    const { parts } = this
    this.release(now)
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

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    if (!this.release(now)) return false
    const taken = this.offer(0, memory, offset, length, now)
    if (taken === 0 && this.parts.length > 0) return false
    // The NIC's next frame may be another one, from another queue: the rest of the parts get this one from a copy.
    if (taken < this.parts.length) {
      copyBytes(memory, offset, this.held, 0, length)
      this.heldLength = length
      this.heldFor = taken
    }
    return true
  }

  /** Offers a frame to the parts from `first` on; returns the index of the one that refuses it, or their number. */
  private offer(first: number, memory: Bytes, offset: number, length: number, now: number): number {
    const { parts } = this
    let index = first
    while (index < parts.length && parts[index].send(memory, offset, length, now)) index++
    return index
  }

  /** Offers the held frame again; false while it is still held. */
  private release(now: number): boolean {
    if (this.heldLength === 0) return true
    this.heldFor = this.offer(this.heldFor, this.held, 0, this.heldLength, now)
    if (this.heldFor < this.parts.length) return false
    this.heldLength = 0
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

  account(): WireAccount {
    const accounts = this.parts.map((part) => part.account())
    const end = accounts[this.end] ?? plainAccount({})
    const held = this.heldLength > 0 && this.heldFor <= this.end ? 1 : 0
    const others = accounts.filter((_, index) => index < this.ends && index !== this.end)
    return sumAccounts(accounts, { ...end, out: { ...end.out, held: end.out.held + held } }, others)
  }

  /** Closes all parts, then throws the first error if there was one. */
  close(): void {
    takeAllSteps(this.parts.map((part) => () => part.close()))
  }
}
