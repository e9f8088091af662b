import type { Bytes } from '../../packet/bytes.ts'
import { LINE_RATE_MEMORY, Pacer } from '../../packet/pacer.ts'
import type { Ledger } from './ledger.ts'
import { Burst, BURST } from '../burst.ts'
import { sharedLoops } from '../wasm-loops.ts'
import { sharedSpace } from '../space.ts'
import { buildTestFrame } from './test-frame.ts'
import {
  CHECK_WORD,
  MIN_TEST_FRAME,
  OWNER_WEIGHT,
  OWNER_WORD,
  SOURCE_PORT_WEIGHT,
  SOURCE_PORT_WORD,
} from './test-frame-layout.ts'
import { plainAccount, type WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** Places in an array of counts: a field that has held small numbers only has the code around it thrown away when it passes 2^31. */
const SENT = 0
const ARRIVED = 1
const FOREIGN = 2

/** Prepared frames are to stay in a first-level cache. */
const CACHED_BYTES = 16384

export interface GenOptions {
  /** Frame sizes in turn, bytes without FCS: one, or IMIX_SIZES. */
  readonly sizes: readonly number[]
  readonly flows: number
  /** Packets per second; null: as fast as the NIC takes them. */
  readonly rate: number | null
  /** `rate` is no more than a limit: wait, too, when the host has no descriptor free. Without a rate it always does. */
  readonly waits?: boolean
  /** Frames to send; null: without end. */
  readonly count: number | null
}

/**
 * A traffic source, and the judge of the traffic that comes back: see test-frame.ts and ledger.ts.
 *
 * Without a rate, or with one that is a limit, it sends while the host has descriptors. Else it sends by the clock: what finds
 * no descriptor waits in the NIC's packet buffer, and what finds that full is missed. The NIC counts it, and so does
 * `undelivered`.
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
  private readonly waits: boolean

  /** Frames ready to be sent but for what differs per flow and frame; sizes in turn, as often as they fit. */
  private readonly burst = new Burst()
  private readonly loops = sharedLoops()
  private readonly slots: number
  private readonly sizes: number
  /** Per flow. */
  private readonly portWords: Int32Array
  private readonly ownerWords: Int32Array
  /** Per size and flow: the check with sequence number 0. */
  private readonly checkWords: Int32Array
  /** Where these are, as in a Burst. */
  private readonly portsAt: number
  private readonly ownersAt: number
  private readonly checksAt: number

  private readonly counts = new Float64Array(3)
  private flow = 0
  private stopped = false
  private waitsForPort = true
  private waitsForRoom = false

  /** `checks`: this wire books what the NIC sends (exactly one wire per port does). */
  constructor(text: string, options: GenOptions, ledger: Ledger, checks: boolean) {
    const { sizes, flows } = options
    const space = sharedSpace()
    this.text = text
    this.ledger = ledger
    this.checks = checks
    this.generator = ledger.register()
    this.flows = flows
    this.finite = options.count !== null
    this.limit = options.count ?? Infinity
    this.waits = options.waits === true || options.rate === null
    this.pacer = makePacer(options)
    this.sizes = sizes.length
    this.portWords = space.takeInts(flows)
    this.ownerWords = space.takeInts(flows)
    this.checkWords = space.takeInts(sizes.length * flows)
    this.portsAt = this.portWords.byteOffset
    this.ownersAt = this.ownerWords.byteOffset
    this.checksAt = this.checkWords.byteOffset
    const stride = (Math.max(...sizes) + 63) & ~63
    const rounds = Math.floor(Math.min(BURST, CACHED_BYTES / stride) / sizes.length)
    this.slots = Math.max(1, rounds) * sizes.length
    for (let flow = 0; flow < flows; flow++) {
      const { u32 } = buildTestFrame(ledger.nonce, this.generator, MIN_TEST_FRAME, flow)
      this.portWords[flow] = u32[SOURCE_PORT_WORD]
      this.ownerWords[flow] = u32[OWNER_WORD]
    }
    const frames = space.take(this.slots * stride)
    for (let slot = 0; slot < this.slots; slot++) this.burst.offsets[slot] = frames + slot * stride
    sizes.forEach((size, index) => this.prepare(index, size))
  }

  /** The frames of one size, and what their checks start from. */
  private prepare(index: number, size: number): void {
    const { flows, burst, portWords, ownerWords, checkWords } = this
    const { u8, u32 } = buildTestFrame(this.ledger.nonce, this.generator, size, 0)
    for (let slot = index; slot < this.slots; slot += this.sizes) {
      burst.lengths[slot] = size
      burst.memory.u8.set(u8.subarray(0, size), burst.offsets[slot])
    }
    for (let flow = 0; flow < flows; flow++) {
      checkWords[index * flows + flow] =
        u32[CHECK_WORD] +
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
    const room = this.waits ? port.room() : budget
    this.waitsForRoom = room <= 0
    if (this.waitsForRoom) return 0
    const ready = this.pacer === null ? room : Math.min(room, this.pacer.allowance(now))
    const count = Math.min(budget, ready, this.limit - this.counts[SENT])
    if (count <= 0) return 0

    let undelivered = 0
    for (let rest = count; rest > 0; rest -= this.burst.count) {
      this.fill(rest)
      undelivered += this.burst.count - port.deliverBurst(this.burst)
    }
    this.ledger.sent(this.generator, count, undelivered)
    this.pacer?.spend(count)
    return count
  }

  /** The next frames, up to `most`: those behind the last burst's, or from the first again. */
  private fill(most: number): void {
    const { burst, slots, sizes } = this
    const first = burst.first + burst.count === slots ? 0 : burst.first + burst.count
    const count = Math.min(slots - first, most)
    this.flow = this.loops.fill(
      burst.offsetsAt + (first << 2),
      count,
      this.flow,
      this.flows,
      first % sizes,
      sizes,
      this.counts[SENT] | 0,
      this.portsAt,
      this.ownersAt,
      this.checksAt,
    )
    this.counts[SENT] += count
    burst.first = first
    burst.count = count
  }

  send(memory: Bytes, offset: number, length: number): boolean {
    this.counts[ARRIVED]++
    if (this.checks && !this.ledger.receive(memory, offset, length)) this.counts[FOREIGN]++
    return true
  }

  sendBurst(burst: Burst): number {
    this.counts[ARRIVED] += burst.count
    if (this.checks) this.counts[FOREIGN] += this.ledger.receiveBurst(burst)
    return burst.count
  }

  nextEvent(now: number): number {
    if (this.pacer === null || this.waitsForPort || this.waitsForRoom || this.ended()) return Infinity
    return this.pacer.next(now)
  }

  ended(): boolean {
    return this.stopped || this.counts[SENT] >= this.limit
  }

  stop(): void {
    this.stopped = true
  }

  /**
   * `arrived` and `foreign` (not from a generator of this process) count what came out at this end, all others what
   * became of the frames of this generator, wherever they came out.
   */
  reports(): WireReport[] {
    const [, arrived, foreign] = this.counts
    return [{ wire: this.text, counters: { ...this.ledger.tally(this.generator), arrived, foreign } }]
  }

  account(): WireAccount {
    const { checks: books } = this
    const [offered, arrived] = this.counts
    return plainAccount({ offered, arrived, books, generators: [this.ledger.tally(this.generator)] })
  }

  close(): void {
    this.stopped = true
  }
}

function makePacer({ rate, waits }: GenOptions): Pacer | null {
  if (rate === null) return null
  return waits === true ? new Pacer(rate, LINE_RATE_MEMORY) : new Pacer(rate)
}
