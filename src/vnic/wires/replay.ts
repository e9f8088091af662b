import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { HEADER_BYTES, MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import { Pacer } from '../../packet/pacer.ts'
import { PcapReader, type PcapSummary } from '../../packet/pcap-reader.ts'
import type { Ledger } from './ledger.ts'
import { plainAccount, type WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** The longest frame an 82599 can be set to receive is 15.5 KiB (82599 §8.2.3.22.13, MAXFRS). */
const LONGEST_FRAME = 15_872

export interface ReplayOptions {
  readonly path: string
  /** Packets per second, Infinity: as fast as the NIC takes them; null: the capture's own timing. */
  readonly rate: number | null
  /** How often the capture is played; 0: without end. */
  readonly repeat: number
}

/**
 * Plays a capture into the NIC, frame by frame and in order, at the times the capture tells or at a rate. Whatever the
 * timing, a frame waits until the host has a descriptor free: nothing is lost here, a slow host makes the replay late.
 * With the capture's own timing, a late replay catches up; one round of `repeat` follows directly on the other.
 *
 * What the NIC sends is swallowed and counted.
 */
export class ReplayWire implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite: boolean
  private readonly text: string
  private readonly reader: PcapReader
  private readonly summary: PcapSummary
  /** By the capture's own timing. */
  private readonly timed: boolean
  private readonly pacer: Pacer | null
  private readonly ledger: Ledger | null
  private readonly padding = allocateBytes(MIN_FRAME_BYTES)
  private roundsLeft: number
  /** A packet has been read and is the next to be sent. */
  private waiting = false
  /** There was one, ever. */
  private usable = false
  private waitsForPort = true
  private done = false
  private stopped = false

  /** With the capture's timing: when the packet of time 0 in `reader` time is due. NaN before the first packet. */
  private origin = NaN
  /** Seconds of the first packet; times are reckoned from there, so that milliseconds keep their fractions. */
  private firstSecond = 0

  private sent = 0
  private undelivered = 0
  private unusable = 0
  private padded = 0
  private arrived = 0
  private foreign = 0

  /** `summary`: what checkPcap() has found, so that nothing is sent of a file that can't be sent to its end. */
  constructor(text: string, options: ReplayOptions, summary: PcapSummary, ledger: Ledger | null) {
    this.text = text
    this.ledger = ledger
    this.finite = options.repeat !== 0
    this.roundsLeft = options.repeat === 0 ? Infinity : options.repeat
    const { rate } = options
    this.timed = rate === null
    this.pacer = rate === null || rate === Infinity ? null : new Pacer(rate)
    this.summary = summary
    this.reader = new PcapReader(options.path)
    if (this.summary.packets === 0) this.done = true
  }

  /** Throws IXY_ERR_FILE if the file has changed meanwhile. */
  poll(port: Port, budget: number, now: number): number {
    if (this.ended()) return 0
    this.waitsForPort = !port.listening() || port.room() === 0
    if (!port.listening()) this.pacer?.pause()
    if (this.waitsForPort) return 0
    let limit = Math.min(budget, port.room())
    if (this.pacer !== null) limit = Math.min(limit, this.pacer.allowance(now))
    let count = 0
    while (count < limit && this.ready() && (!this.timed || this.dueTime(now) <= now)) {
      this.deliver(port)
      this.waiting = false
      count++
    }
    this.pacer?.spend(count)
    this.sent += count
    return count
  }

  send(memory: Bytes, offset: number, length: number): boolean {
    this.arrived++
    if (this.ledger !== null && !this.ledger.receive(memory, offset, length)) this.foreign++
    return true
  }

  nextEvent(now: number): number {
    if (this.ended() || this.waitsForPort || !this.ready()) return Infinity
    if (this.pacer !== null) return this.pacer.next(now)
    return this.timed ? Math.max(now, this.dueTime(now)) : now
  }

  ended(): boolean {
    return this.stopped || this.done
  }

  stop(): void {
    this.stopped = true
  }

  /**
   * `cut`: packets per round that the capture holds only in part. `unusable`: no Ethernet frames an 82599 could receive
   * (under 14 or over 15872 bytes), skipped.
   */
  reports(): WireReport[] {
    const { sent, undelivered, padded, unusable, arrived, foreign } = this
    const { cut } = this.summary
    return [{ wire: this.text, counters: { sent, undelivered, padded, cut, unusable, arrived, foreign } }]
  }

  account(): WireAccount {
    return plainAccount({ offered: this.sent, arrived: this.arrived, books: this.ledger !== null })
  }

  close(): void {
    this.stopped = true
    this.reader.close()
  }

  /** Reads on to the next packet that can be sent, if none is waiting; false at the end. */
  private ready(): boolean {
    const { reader } = this
    while (!this.waiting && !this.done) {
      if (!reader.next()) this.nextRound()
      else if (reader.length < HEADER_BYTES || reader.length > LONGEST_FRAME) this.unusable++
      else this.waiting = this.usable = true
    }
    return this.waiting
  }

  private nextRound(): void {
    this.roundsLeft--
    // A round in which nothing could be sent would be repeated without end.
    if (this.roundsLeft <= 0 || !this.usable) this.done = true
    else this.reader.rewind()
    this.origin = NaN
  }

  /** Milliseconds on the monotonic clock. */
  private dueTime(now: number): number {
    const { reader } = this
    if (Number.isNaN(this.origin)) {
      this.firstSecond = reader.seconds
      this.origin = now - reader.nanoseconds / 1e6
    }
    return this.origin + (reader.seconds - this.firstSecond) * 1000 + reader.nanoseconds / 1e6
  }

  private deliver(port: Port): void {
    const { reader, padding } = this
    let delivered: boolean
    if (reader.length >= MIN_FRAME_BYTES) {
      delivered = port.deliver(reader.memory, reader.offset, reader.length)
    } else {
      padding.u8.fill(0)
      copyBytes(reader.memory, reader.offset, padding, 0, reader.length)
      delivered = port.deliver(padding, 0, MIN_FRAME_BYTES)
      this.padded++
    }
    if (!delivered) this.undelivered++
  }
}
