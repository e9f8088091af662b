import type { Bytes } from '../../packet/bytes.ts'
import type { Ledger } from './ledger.ts'
import type { Wire, WireReport } from './wire.ts'

/** Swallows and counts; books the frames that generators of this process have sent. */
export class SinkWire implements Wire {
  readonly wakeFds: readonly number[] = []
  readonly finite = false
  private readonly text: string
  private readonly ledger: Ledger | null
  private arrived = 0
  private bytes = 0
  private foreign = 0
  private stopped = false

  /** `ledger`: null if another wire of this port books what comes out. */
  constructor(text: string, ledger: Ledger | null) {
    this.text = text
    this.ledger = ledger
  }

  poll(): number {
    return 0
  }

  send(memory: Bytes, offset: number, length: number): boolean {
    this.arrived++
    this.bytes += length
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
  }

  reports(): WireReport[] {
    const { arrived, bytes, foreign } = this
    return [{ wire: this.text, counters: { arrived, bytes, foreign } }]
  }

  close(): void {
    this.stopped = true
  }
}
