import { allocateBytes, type Bytes } from '../../packet/bytes.ts'
import { Pacer } from '../../packet/pacer.ts'
import type { Ledger } from './ledger.ts'
import {
  buildTestFrame,
  CHECK_WORD,
  MIN_TEST_FRAME,
  OWNER_WEIGHT,
  OWNER_WORD,
  SEQUENCE_WEIGHT,
  SEQUENCE_WORD,
  SOURCE_PORT_WEIGHT,
  SOURCE_PORT_WORD,
} from './test-frame.ts'
import type { Port, Wire, WireReport } from './wire.ts'

export interface GenOptions {
  /** Frame sizes in turn, bytes without FCS: one, or IMIX_SIZES. */
  readonly sizes: readonly number[]
  readonly flows: number
  /** Packets per second; null: as fast as the NIC takes them. */
  readonly rate: number | null
  /** Frames to send; null: without end. */
  readonly count: number | null
}

/**
 * A traffic source, and the judge of the traffic that comes back: see test-frame.ts and ledger.ts.
 *
 * Without a rate it sends while the host has descriptors. With one it sends by the clock, and what finds no descriptor
 * is missed: the NIC counts it, and so does `undelivered`.
 */
export class GenWire implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite: boolean
  private readonly text: string
  private readonly ledger: Ledger
  private readonly checks: boolean
  private readonly generator: number
  private readonly flows: number
  private readonly limit: number
  private readonly pacer: Pacer | null

  /** One frame per size, each at a multiple of 64 bytes; what differs per flow and frame is written over it. */
  private readonly frames: Bytes
  /** Per size: where its frame starts, and its length. */
  private readonly offsets: Int32Array
  private readonly lengths: Int32Array
  /** Per flow. */
  private readonly portWords: Uint32Array
  private readonly ownerWords: Uint32Array
  /** Per size and flow: the check with sequence number 0. */
  private readonly checkWords: Int32Array

  private sent = 0
  private size = 0
  private flow = 0
  private stopped = false
  private waitsForPort = true
  private arrived = 0
  private foreign = 0

  /** `checks`: this wire books what the NIC sends (exactly one wire per port does). */
  constructor(text: string, options: GenOptions, ledger: Ledger, checks: boolean) {
    const { sizes, flows } = options
    this.text = text
    this.ledger = ledger
    this.checks = checks
    this.generator = ledger.register()
    this.flows = flows
    this.finite = options.count !== null
    this.limit = options.count ?? Infinity
    this.pacer = options.rate === null ? null : new Pacer(options.rate)
    this.lengths = Int32Array.from(sizes)
    this.offsets = new Int32Array(sizes.length)
    this.portWords = new Uint32Array(flows)
    this.ownerWords = new Uint32Array(flows)
    this.checkWords = new Int32Array(sizes.length * flows)
    const stride = (Math.max(...sizes) + 63) & ~63
    this.frames = allocateBytes(sizes.length * stride)
    for (let flow = 0; flow < flows; flow++) {
      const { u32 } = buildTestFrame(ledger.nonce, this.generator, MIN_TEST_FRAME, flow)
      this.portWords[flow] = u32[SOURCE_PORT_WORD]
      this.ownerWords[flow] = u32[OWNER_WORD]
    }
    for (let i = 0; i < sizes.length; i++) {
      this.offsets[i] = i * stride
      this.prepare(i, sizes[i])
    }
  }

  private prepare(index: number, size: number): void {
    const { flows, frames, portWords, ownerWords, checkWords } = this
    const first = buildTestFrame(this.ledger.nonce, this.generator, size, 0)
    frames.u8.set(first.u8.subarray(0, size), this.offsets[index])
    for (let flow = 0; flow < flows; flow++) {
      checkWords[index * flows + flow] =
        first.u32[CHECK_WORD] +
        Math.imul(portWords[flow] - portWords[0], SOURCE_PORT_WEIGHT) +
        Math.imul(ownerWords[flow] - ownerWords[0], OWNER_WEIGHT)
    }
  }

  poll(port: Port, budget: number, now: number): number {
    this.waitsForPort = !port.listening()
    if (this.waitsForPort || this.stopped) {
      this.pacer?.pause()
      return 0
    }
    const ready = this.pacer === null ? port.room() : this.pacer.allowance(now)
    const count = Math.min(budget, ready, this.limit - this.sent)
    if (count <= 0) return 0

    const { frames, offsets, lengths, portWords, ownerWords, checkWords, flows } = this
    const words = frames.u32
    const sizes = lengths.length
    let { size, flow } = this
    let sequence = this.sent | 0
    let undelivered = 0
    for (let i = 0; i < count; i++) {
      const offset = offsets[size]
      const word = offset >>> 2
      words[word + SOURCE_PORT_WORD] = portWords[flow]
      words[word + OWNER_WORD] = ownerWords[flow]
      words[word + CHECK_WORD] = checkWords[size * flows + flow] + Math.imul(sequence, SEQUENCE_WEIGHT)
      words[word + SEQUENCE_WORD] = sequence
      if (!port.deliver(frames, offset, lengths[size])) undelivered++
      sequence = (sequence + 1) | 0
      if (++flow === flows) flow = 0
      if (++size === sizes) size = 0
    }
    this.size = size
    this.flow = flow
    this.sent += count
    this.ledger.sent(this.generator, count, undelivered)
    this.pacer?.spend(count)
    return count
  }

  send(memory: Bytes, offset: number, length: number): boolean {
    this.arrived++
    if (this.checks && !this.ledger.receive(memory, offset, length)) this.foreign++
    return true
  }

  nextEvent(now: number): number {
    return this.pacer === null || this.waitsForPort || this.ended() ? Infinity : this.pacer.next(now)
  }

  ended(): boolean {
    return this.stopped || this.sent >= this.limit
  }

  stop(): void {
    this.stopped = true
  }

  /**
   * `arrived` and `foreign` (not from a generator of this process) count what came out at this end, all others what
   * became of the frames of this generator, wherever they came out.
   */
  reports(): WireReport[] {
    const { arrived, foreign } = this
    return [{ wire: this.text, counters: { ...this.ledger.tally(this.generator), arrived, foreign } }]
  }

  close(): void {
    this.stopped = true
  }
}
