import type { Bytes } from '../../packet/bytes.ts'
import { PcapWriter } from '../../packet/pcap-writer.ts'
import type { Ledger } from './ledger.ts'
import { plainAccount, type WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** How long a packet may wait in memory, milliseconds. */
const FLUSH_EVERY = 1000

/**
 * Writes everything the NIC sends into a capture, with the time at which the NIC sent it (CLOCK_REALTIME, as it was
 * when the first packet came, carried on by the monotonic clock).
 */
export class RecordWire implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite = false
  private readonly text: string
  private readonly writer: PcapWriter
  private readonly ledger: Ledger | null
  private foreign = 0
  private stopped = false
  /** The second in which the first packet came, and the monotonic time at which that second began. */
  private startSeconds = 0
  private startOfSecond = NaN
  private lastFlush = 0

  /** Throws IXY_ERR_FILE. `ledger`: null if another wire of this port books what comes out. */
  constructor(text: string, path: string, ledger: Ledger | null) {
    this.text = text
    this.writer = new PcapWriter(path)
    this.ledger = ledger
  }

  /** Throws IXY_ERR_OUTPUT if the file can't be written any more. */
  poll(_port: Port, _budget: number, now: number): number {
    if (this.writer.pending && now - this.lastFlush >= FLUSH_EVERY) {
      this.writer.flush()
      this.lastFlush = now
    }
    return 0
  }

  /** Throws IXY_ERR_OUTPUT if the file can't be written any more. */
  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    if (Number.isNaN(this.startOfSecond)) this.startClock(now)
    if (!this.writer.pending) this.lastFlush = now
    const milliseconds = now - this.startOfSecond
    const seconds = Math.floor(milliseconds / 1000)
    const nanoseconds = Math.floor((milliseconds - seconds * 1000) * 1e6)
    this.writer.write(memory, offset, length, this.startSeconds + seconds, nanoseconds)
    if (this.ledger !== null && !this.ledger.receive(memory, offset, length)) this.foreign++
    return true
  }

  nextEvent(): number {
    return this.writer.pending ? this.lastFlush + FLUSH_EVERY : Infinity
  }

  ended(): boolean {
    return this.stopped
  }

  stop(): void {
    this.stopped = true
  }

  /** What is reported is in the file: writes it out first. Throws IXY_ERR_OUTPUT if it can't be written. */
  reports(): WireReport[] {
    if (this.writer.pending) this.writer.flush()
    const { packets: arrived, bytes } = this.writer
    return [{ wire: this.text, counters: { arrived, bytes, foreign: this.foreign } }]
  }

  account(): WireAccount {
    return plainAccount({ arrived: this.writer.packets, books: this.ledger !== null })
  }

  /** Throws IXY_ERR_OUTPUT if the rest can't be written. */
  close(): void {
    this.stopped = true
    this.writer.close()
  }

  private startClock(now: number): void {
    const wall = Date.now()
    this.startSeconds = Math.floor(wall / 1000)
    this.startOfSecond = now - (wall - this.startSeconds * 1000)
  }
}
