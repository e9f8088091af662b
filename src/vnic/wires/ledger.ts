/**
 * The books of the generated traffic of one process: who sent what, and what of it has come out anywhere.
 *
 * With `forward virtual:gen virtual:gen`, what one generator sends arrives at the other; so all wires share one ledger.
 * Loss, duplicates and order are known per generator and flow, from the sequence numbers in the frames.
 */
import { IxyError } from '../../errors.ts'
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { MAX_FLOWS } from '../../packet/template.ts'
import * as frame from './test-frame.ts'
import type { Burst } from './wire.ts'

/**
 * Frames told apart from their duplicates: the last 65,536 of each generator. More than all rings and queues between
 * two ports hold; an older one that turns up is taken for a duplicate.
 */
const WINDOW = 65536
const WINDOW_BITS = 16
/** Bits in which magic and nonce may differ for a frame with a wrong check to be one of ours all the same. */
const TOLERANCE = 2
const MAX_FRAME = 16384

/** Counters per generator, in `counters[generator * COUNTERS + …]`. */
const COUNTERS = 8
const SENT = 0
const UNDELIVERED = 1
const RECEIVED = 2
const DUPLICATED = 3
const REORDERED = 4
const CORRUPTED = 5

/** What became of the frames of one generator. */
export interface Tally {
  /** Frames handed to the NIC. */
  readonly sent: number
  /** Of these, the NIC had no descriptor for, or dropped for another reason. */
  readonly undelivered: number
  /** Came out somewhere, whole, each counted once. */
  readonly received: number
  /** Came out again. */
  readonly duplicated: number
  /** Came out after one of the same flow that was sent later. */
  readonly reordered: number
  /** Came out changed. */
  readonly corrupted: number
  /** Neither received nor corrupted, `undelivered` included. Final once nothing moves any more. */
  readonly lost: number
}

export class Ledger {
  readonly nonce: number
  private generators = 0
  private readonly counters = new Float64Array(frame.MAX_GENERATORS * COUNTERS)
  /**
   * Per generator and sequence number modulo WINDOW: how often the window had moved on when that slot was last taken,
   * counted from 1. Only the parts in use become resident memory.
   */
  private readonly rounds = new Uint16Array(frame.MAX_GENERATORS * WINDOW)
  /** Per generator and flow: the lowest sequence number that is in order. */
  private readonly expected = new Uint32Array(frame.MAX_GENERATORS * MAX_FLOWS)
  private readonly aligned = allocateBytes(MAX_FRAME)

  /** `nonce`, 16 bits, marks this process's frames. */
  constructor(nonce = process.pid) {
    this.nonce = nonce & 0xffff
  }

  /** Takes a new generator in; returns its number. Throws IXY_ERR_USAGE when there are 16 already. */
  register(): number {
    if (this.generators === frame.MAX_GENERATORS)
      throw new IxyError(
        'IXY_ERR_USAGE',
        `more than ${frame.MAX_GENERATORS} gen wires in one process`,
        'use fewer gen wires',
      )
    return this.generators++
  }

  /** `generator` has handed `count` frames to its NIC, which dropped `undelivered` of them. */
  sent(generator: number, count: number, undelivered: number): void {
    this.counters[generator * COUNTERS + SENT] += count
    this.counters[generator * COUNTERS + UNDELIVERED] += undelivered
  }

  /**
   * Books a frame that a NIC has sent to its wire. To be called once per frame and port, for frames that don't go on
   * to another port. Returns false for a frame that none of the generators has sent.
   */
  receive(memory: Bytes, offset: number, length: number): boolean {
    if (length < frame.MIN_TEST_FRAME) return false
    if ((offset & 3) !== 0) return this.receiveUnaligned(memory, offset, length)
    const words = memory.u32
    const first = offset >>> 2
    if (
      words[first + frame.MAGIC_WORD] !== frame.MAGIC ||
      (words[first + frame.CHECK_WORD] | 0) !== frame.frameCheck(memory, offset, length)
    )
      return this.receiveDamaged(memory, offset)
    const owner = words[first + frame.OWNER_WORD]
    const generator = frame.decodeGenerator((owner >>> 8) & 0xff)
    const flow = owner >>> 16
    if (
      words[first + frame.NONCE_WORD] >>> 16 !== this.nonce ||
      generator < 0 ||
      generator >= this.generators
    )
      return false

    const counters = this.counters
    const counter = generator * COUNTERS
    const sequence = words[first + frame.SEQUENCE_WORD]
    const slot = generator * WINDOW + (sequence & (WINDOW - 1))
    const round = ((sequence >>> WINDOW_BITS) + 1) & 0xffff
    // Differences are taken modulo 2^16 and 2^32: sequence numbers wrap around.
    if ((round - this.rounds[slot]) << 16 <= 0) {
      counters[counter + DUPLICATED]++
      return true
    }
    this.rounds[slot] = round
    counters[counter + RECEIVED]++
    const place = generator * MAX_FLOWS + flow
    if (((sequence - this.expected[place]) | 0) < 0) counters[counter + REORDERED]++
    else this.expected[place] = sequence + 1
    return true
  }

  /** receive() for each frame of a burst; returns how many of them are none of ours. */
  receiveBurst({ memory, offsets, lengths, first, count }: Burst): number {
    let foreign = 0
    for (let i = first; i < first + count; i++) if (!this.receive(memory, offsets[i], lengths[i])) foreign++
    return foreign
  }

  tally(generator: number): Tally {
    const at = generator * COUNTERS
    const sent = this.counters[at + SENT]
    const received = this.counters[at + RECEIVED]
    const corrupted = this.counters[at + CORRUPTED]
    return {
      sent,
      undelivered: this.counters[at + UNDELIVERED],
      received,
      duplicated: this.counters[at + DUPLICATED],
      reordered: this.counters[at + REORDERED],
      corrupted,
      lost: Math.max(0, sent - received - corrupted),
    }
  }

  /** Frames on their way: sent and delivered, but not come out yet. What stays when nothing moves any more is lost. */
  outstanding(): number {
    let frames = 0
    for (let generator = 0; generator < this.generators; generator++) {
      const { lost, undelivered } = this.tally(generator)
      frames += Math.max(0, lost - undelivered)
    }
    return frames
  }

  private receiveUnaligned(memory: Bytes, offset: number, length: number): boolean {
    if (length > MAX_FRAME) return false
    copyBytes(memory, offset, this.aligned, 0, length)
    return this.receive(this.aligned, 0, length)
  }

  /** A frame with a wrong magic or check: one of ours with a few bits wrong, or a stranger's. */
  private receiveDamaged(memory: Bytes, offset: number): boolean {
    const words = memory.u32
    const first = offset >>> 2
    const wrong =
      bitCount(words[first + frame.MAGIC_WORD] ^ frame.MAGIC) +
      bitCount((words[first + frame.NONCE_WORD] >>> 16) ^ this.nonce)
    if (wrong > TOLERANCE) return false
    let generator = frame.decodeGenerator(memory.u8[offset + frame.GENERATOR])
    if (generator < 0) generator = frame.decodeGenerator(memory.u8[offset + frame.SOURCE_MAC_GENERATOR])
    if (generator < 0 || generator >= this.generators) return false
    this.counters[generator * COUNTERS + CORRUPTED]++
    return true
  }
}

function bitCount(word: number): number {
  let count = 0
  for (let rest = word; rest !== 0; rest &= rest - 1) count++
  return count
}
