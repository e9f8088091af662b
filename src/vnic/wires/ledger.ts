/**
 * The books of the generated traffic of one process: who sent what, and what of it has come out anywhere.
 *
 * With `forward virtual:gen virtual:gen`, what one generator sends arrives at the other; so all wires share one ledger.
 * Loss, duplicates and order are known per generator and flow, from the sequence numbers in the frames.
 */
import { IxyError } from '../../errors.ts'
import { type Bytes, copyBytes } from '../../packet/bytes.ts'
import { MAX_FLOWS } from '../../packet/template.ts'
import { Burst, FRAME_ROOM } from '../burst.ts'
import { sharedLoops } from '../wasm-loops.ts'
import { sharedSpace } from '../space.ts'
import * as F from './test-frame-layout.ts'

/** Of what the sending end counts of a generator: places in an array, as in gen.ts. */
const SENT = 0
const UNDELIVERED = 1

/** What the sending end counts of a generator, and the book that the receiving end keeps (test-frame-layout.ts). */
interface Account {
  readonly counts: Float64Array
  readonly book: Float64Array
}

/** What became of the frames of one generator. */
export interface Tally {
  /** Frames handed to the NIC. */
  readonly sent: number
  /** Of these, dropped by the NIC as they came: no room in its packet buffer, too long… */
  readonly undelivered: number
  /** Came out somewhere, whole, each counted once. */
  readonly received: number
  /** Came out again. */
  readonly duplicated: number
  /** Came out after one of the same flow that was sent later. */
  readonly reordered: number
  /** Came out changed, each counted once: not received. */
  readonly corrupted: number
  /** Came out after WINDOW later ones: whether for the first time or again, nobody can tell. */
  readonly late: number
  /** Neither received nor corrupted nor late, `undelivered` included. Final once nothing moves any more. */
  readonly lost: number
}

/** See LEDGER_WEIGHTS. What the check is in, and what the four before have in common with the last, is 0. */
const CHECK_WEIGHTS = [
  ...[F.WEIGHT_0, F.WEIGHT_1, F.WEIGHT_2, F.WEIGHT_3],
  ...[F.WEIGHT_4, F.WEIGHT_5, F.WEIGHT_6, F.WEIGHT_7],
  ...[F.SOURCE_PORT_WEIGHT, F.WEIGHT_9, F.NONCE_WEIGHT, F.MAGIC_WEIGHT],
  ...[0, F.OWNER_WEIGHT, 0, F.SEQUENCE_WEIGHT],
  ...[0, F.NOT_TOUCHED, 0, 0xffffffff],
]

export class Ledger {
  readonly nonce: number
  private readonly space = sharedSpace()
  private readonly loops = sharedLoops()
  private readonly accounts: Account[] = []
  /** As the loops want it. Only the parts in use become resident memory. */
  private readonly words: Int32Array
  private readonly wordsAt: number
  /** For a frame that is elsewhere, or comes alone. */
  private readonly one = new Burst()
  private readonly copy: number

  /** `nonce`, 16 bits, marks this process's frames. */
  constructor(nonce = process.pid) {
    this.nonce = nonce & 0xffff
    this.words = this.space.takeInts(F.LEDGER_BYTES >> 2)
    this.wordsAt = this.words.byteOffset
    this.words[0] = this.nonce
    this.words.set(CHECK_WEIGHTS, F.LEDGER_WEIGHTS >> 2)
    this.copy = this.space.take(FRAME_ROOM)
    this.one.count = 1
  }

  /** Takes a new generator in; returns its number. Throws IXY_ERR_USAGE when there are MAX_GENERATORS already. */
  register(): number {
    const generator = this.accounts.length
    if (generator === F.MAX_GENERATORS)
      throw new IxyError(
        'IXY_ERR_USAGE',
        `more than ${F.MAX_GENERATORS} gen wires in one process`,
        'use fewer gen wires',
      )
    const at = this.space.take(F.BOOK_FLOWS + MAX_FLOWS * 4 + 2 * 2 ** F.WINDOW_BITS)
    const book = new Float64Array(this.space.memory.buffer, at, F.BOOK_FLOWS >> 3)
    this.accounts.push({ counts: new Float64Array(2), book })
    this.words[(F.LEDGER_BOOKS >> 2) + generator] = at
    this.words[F.LEDGER_GENERATORS >> 2] = this.accounts.length
    return generator
  }

  /** `generator` has handed `count` frames to its NIC, which dropped `undelivered` of them at once. */
  sent(generator: number, count: number, undelivered: number): void {
    const { counts } = this.accounts[generator]
    counts[SENT] += count
    counts[UNDELIVERED] += undelivered
  }

  /**
   * Books a frame that a NIC has sent to its wire. To be called once per frame and port, for frames that don't go on
   * to another port. Returns false for a frame that none of the generators has sent.
   */
  receive(memory: Bytes, offset: number, length: number): boolean {
    const { one, space, copy } = this
    if (length > FRAME_ROOM) return false
    if (memory !== space.bytes) copyBytes(memory, offset, space.bytes, copy, length)
    one.offsets[0] = memory === space.bytes ? offset : copy
    one.lengths[0] = length
    return this.receiveBurst(one) === 0
  }

  /** receive() for each frame of a burst; returns how many of them are none of ours. */
  receiveBurst(burst: Burst): number {
    const { offsetsAt, lengthsAt, first, count } = burst
    const at = first << 2
    return this.loops.receive(this.wordsAt, MAX_FLOWS, offsetsAt + at, lengthsAt + at, count)
  }

  tally(generator: number): Tally {
    const { counts, book } = this.accounts[generator]
    const [sent, undelivered] = counts
    const received = book[F.BOOK_RECEIVED >> 3]
    const corrupted = book[F.BOOK_CORRUPTED >> 3]
    const late = book[F.BOOK_LATE >> 3]
    return {
      sent,
      undelivered,
      received,
      duplicated: book[F.BOOK_DUPLICATED >> 3],
      reordered: book[F.BOOK_REORDERED >> 3],
      corrupted,
      late,
      lost: Math.max(0, sent - received - corrupted - late),
    }
  }

  /** Frames on their way: sent and delivered, but not come out yet. What stays when nothing moves any more is lost. */
  outstanding(): number {
    let frames = 0
    for (let generator = 0; generator < this.accounts.length; generator++) {
      const { lost, undelivered } = this.tally(generator)
      frames += Math.max(0, lost - undelivered)
    }
    return frames
  }
}
