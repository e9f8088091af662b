import { Recording, type RecordOptions } from '../../captures/recording.ts'
import type { Log } from '../../captures/messages.ts'
import type { Bytes } from '../../packet/bytes.ts'
import type { PacketFilter } from '../../packet/filter/translate.ts'
import type { Ledger } from './ledger.ts'
import { plainAccount, type WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/**
 * Writes everything the NIC sends into a capture, with the time at which the NIC sent it (CLOCK_REALTIME, as it was when the
 * host began to listen, carried on by the monotonic clock). A thread does the writing. If it can't keep up, the NIC is held
 * up: nothing is lost.
 *
 * The file is made, or emptied, when the host begins to listen or to send, or when the run ends.
 */
export class RecordWire implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite = false
  readonly recording: Recording
  private readonly text: string
  private readonly ledger: Ledger | null
  private readonly filter: PacketFilter | null
  private foreign = 0
  /** Frames that have arrived and don't match, and their bytes. */
  private filteredOut = 0
  private filteredBytes = 0
  private stopped = false
  /** The monotonic time at which the second began from which times count. */
  private startOfSecond = 0
  private now = 0

  /**
   * Throws IXY_ERR_FILE. `filter`: what is recorded; null: everything. `ledger`: null if another wire of this port books what comes
   * out.
   */
  constructor(
    text: string,
    options: RecordOptions,
    filter: PacketFilter | null,
    ledger: Ledger | null,
    log: Log,
  ) {
    this.text = text
    this.filter = filter
    this.recording = new Recording(options, log)
    this.ledger = ledger
  }

  /** Throws IXY_ERR_OUTPUT if the file can't be written any more. */
  poll(port: Port, _budget: number, now: number): number {
    const { recording } = this
    this.now = now
    if (recording.error !== null) throw recording.error
    if (!recording.begun && port.listening()) this.begin(now)
    recording.publish()
    return 0
  }

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    const { recording } = this
    if (!recording.begun) this.begin(now)
    if (this.filter !== null && !this.filter(memory.u8, offset, length, length)) {
      this.filteredOut++
      this.filteredBytes += length
    } else if (!recording.take(memory, offset, length, now - this.startOfSecond)) return false
    if (this.ledger !== null && !this.ledger.receive(memory, offset, length)) this.foreign++
    return true
  }

  nextEvent(): number {
    return Infinity
  }

  ended(): boolean {
    return this.stopped
  }

  stop(): void {
    this.stopped = true
    // A run without packets leaves an empty capture, not the one of another run.
    if (!this.recording.begun) this.begin(this.now)
  }

  /**
   * `arrived`: from the NIC. `recorded`: of these, those that are in the file by now; `filteredOut`: those that aren't to be;
   * `unwritten`: those that never will be.
   */
  reports(): WireReport[] {
    const { recorded } = this.recording
    const { arrived, unwritten, foreign, filteredOut } = this
    const bytes = this.recording.bytes + this.filteredBytes
    const sifted = this.filter === null ? {} : { filteredOut }
    return [{ wire: this.text, counters: { arrived, recorded, ...sifted, unwritten, bytes, foreign } }]
  }

  /** What is in the file has arrived; what isn't yet is held, until it turns out that it never will be. */
  account(): WireAccount {
    const { arrived, unwritten: frames, recording } = this
    const missing = recording.packets - recording.recorded
    const lost = [{ place: this.text, cause: 'unwritten', frames }]
    const books = this.ledger !== null && missing === 0
    return plainAccount({ arrived: arrived - missing, held: missing - frames, lost, books })
  }

  private get arrived(): number {
    return this.recording.packets + this.filteredOut
  }

  private get unwritten(): number {
    const { recorded, packets, ended } = this.recording
    return ended ? packets - recorded : 0
  }

  /** Throws IXY_ERR_OUTPUT if the rest can't be written. */
  close(): void {
    this.stopped = true
    this.recording.close()
  }

  private begin(now: number): void {
    const wall = Date.now()
    const seconds = Math.floor(wall / 1000)
    this.startOfSecond = now - (wall - seconds * 1000)
    this.recording.begin(seconds)
  }
}
