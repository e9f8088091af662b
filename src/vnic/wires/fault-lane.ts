/** One direction of a faulty cable. */
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { Random } from './random.ts'
import * as F from './test-frame-layout.ts'
import { LONGEST_FRAME } from './wire.ts'

/** Each from 0 to 1. */
export interface FaultRates {
  readonly drop: number
  readonly corrupt: number
  readonly dup: number
  readonly reorder: number
}

/** Takes a frame on; false if it couldn't. */
export type HandOver = (memory: Bytes, offset: number, length: number) => boolean

/** What to do with the current frame, as bits. */
const DROP = 1
const CORRUPT = 2
const DUPLICATE = 4
const REORDER = 8

export class FaultLane {
  dropped = 0
  corrupted = 0
  duplicated = 0
  reordered = 0
  private readonly handOver: HandOver
  private readonly canRefuse: boolean
  private readonly random: Random
  /** Probabilities times 2^32. */
  private readonly drop: number
  private readonly corrupt: number
  private readonly dup: number
  private readonly reorder: number
  private readonly corruptCopy = allocateBytes(LONGEST_FRAME)
  /** A frame that has been taken and is yet to be handed over: one that the next frame overtakes, or a refused copy. */
  private readonly heldCopy = allocateBytes(LONGEST_FRAME)
  private heldLength = 0
  private heldSince = 0
  private heldIsDuplicate = false
  /** The decision on the next frame, made for one that was then refused; -1 if there is none. */
  private undone = -1
  private bit = 0

  /**
   * `canRefuse`: a frame that `handOver` doesn't take will be offered again (towards a wire), instead of being lost
   * (towards a NIC, which counts it).
   */
  constructor(rates: FaultRates, seed: number, handOver: HandOver, canRefuse: boolean) {
    this.handOver = handOver
    this.canRefuse = canRefuse
    this.random = new Random(seed)
    this.drop = rates.drop * 0x1_0000_0000
    this.corrupt = rates.corrupt * 0x1_0000_0000
    this.dup = rates.dup * 0x1_0000_0000
    this.reorder = rates.reorder * 0x1_0000_0000
  }

  /** How many frames come out at most for each that goes in. */
  get most(): number {
    return this.dup > 0 ? 2 : 1
  }

  /** A frame waits to be handed over. */
  get holding(): boolean {
    return this.heldLength > 0
  }

  /** Since when, milliseconds. */
  get holdingSince(): number {
    return this.heldSince
  }

  /**
   * Passes a frame on, or not. Returns what handOver() has said about the frame itself; true for one that was dropped or
   * held back here.
   */
  pass(memory: Bytes, offset: number, length: number, now: number): boolean {
    if (length > LONGEST_FRAME) return this.handOver(memory, offset, length)
    const decision = this.undone >= 0 ? this.undone : this.decide(length)
    this.undone = -1
    if ((decision & DROP) !== 0) {
      this.dropped++
      return true
    }
    if ((decision & CORRUPT) !== 0) {
      this.flipBit(memory, offset, length)
      memory = this.corruptCopy
      offset = 0
    }
    const overtaken = this.heldLength > 0
    if ((decision & REORDER) !== 0 && !overtaken) {
      this.hold(memory, offset, length, now, false)
      if ((decision & CORRUPT) !== 0) this.corrupted++
      return true
    }
    const taken = this.handOver(memory, offset, length)
    if (!taken && this.canRefuse) {
      this.undone = decision
      return false
    }
    if ((decision & CORRUPT) !== 0) this.corrupted++
    if (overtaken) {
      const reordered = this.heldIsDuplicate ? 0 : 1
      if (this.release()) this.reordered += reordered
    }
    if ((decision & DUPLICATE) !== 0) this.duplicate(memory, offset, length, now)
    return taken
  }

  /** Hands over what is held; false if it wasn't taken and is still here. */
  release(): boolean {
    if (!this.handOver(this.heldCopy, 0, this.heldLength) && this.canRefuse) return false
    this.heldLength = 0
    return true
  }

  /** Forgets what is held and what was refused; returns the number of frames that are lost by that. */
  clear(): number {
    const lost = this.heldLength > 0 ? 1 : 0
    this.heldLength = 0
    this.undone = -1
    return lost
  }

  /** One number per kind of fault that is on, whatever comes of it: the same seed gives the same faults. */
  private decide(length: number): number {
    const { random } = this
    let decision = 0
    if (this.drop > 0 && random.chance(this.drop)) decision |= DROP
    if (this.corrupt > 0 && random.chance(this.corrupt)) decision |= CORRUPT
    if (this.dup > 0 && random.chance(this.dup)) decision |= DUPLICATE
    if (this.reorder > 0 && random.chance(this.reorder)) decision |= REORDER
    if ((decision & CORRUPT) !== 0) this.bit = random.below(length * 8)
    return decision
  }

  private flipBit(memory: Bytes, offset: number, length: number): void {
    copyBytes(memory, offset, this.corruptCopy, 0, length)
    // The next frame offered may be another one, from another of the NIC's queues.
    const byte = (this.bit >>> 3) % length
    this.corruptCopy.u8[this.damageable(byte)] ^= 1 << (this.bit & 7)
  }

  /**
   * Spares what the judge of generated frames needs to know which one it was, and the byte that `forward --touch` changes: a
   * flipped bit there would go unnoticed. Each of those has another byte, in the headers, in its stead.
   */
  private damageable(byte: number): number {
    if (byte === F.TOUCHED) return F.TOUCHED - (F.IDENTITY_END - F.IDENTITY)
    if (this.corruptCopy.u32[F.MAGIC_WORD] !== F.MAGIC) return byte
    if (byte >= F.IDENTITY && byte < F.IDENTITY_END) return byte - (F.IDENTITY_END - F.IDENTITY)
    return byte >= F.SEQUENCE && byte < F.SEQUENCE_END ? byte - (F.SEQUENCE_END - F.IDENTITY) : byte
  }

  private duplicate(memory: Bytes, offset: number, length: number, now: number): void {
    // Towards the NIC a copy is made also if the card then drops it, which the card counts.
    if (this.handOver(memory, offset, length) || !this.canRefuse) this.duplicated++
    else if (this.heldLength === 0) {
      this.hold(memory, offset, length, now, true)
      this.duplicated++
    }
  }

  private hold(memory: Bytes, offset: number, length: number, now: number, isDuplicate: boolean): void {
    copyBytes(memory, offset, this.heldCopy, 0, length)
    this.heldLength = length
    this.heldSince = now
    this.heldIsDuplicate = isDuplicate
  }
}
