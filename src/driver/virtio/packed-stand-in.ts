/** A device of a few lines, for rehearsals: what it does with packed queues, and nothing else. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { StandIn } from '../queues.ts'
import { packedLayout } from './layout.ts'
import { AVAIL, EVENTS_DISABLE, USED } from './queue-words.ts'
import type { RingParts } from './ring-parts.ts'
import { FRAME, HeaderWriter, partsOf } from './stand-in.ts'

class Side {
  readonly words: Uint32Array
  private readonly entries: number
  private at = 0
  private wrap = true

  constructor({ ring, entries }: RingParts) {
    this.words = new Uint32Array(ring)
    this.entries = entries
    this.words[packedLayout(entries).device >> 2] = EVENTS_DISABLE << 16
  }

  /** The next descriptor's first word; -1 if it isn't available. */
  get next(): number {
    const flags = this.words[(this.at << 2) + 3] >>> 16
    const available = (flags & (AVAIL | USED)) === (this.wrap ? AVAIL : USED)
    return available ? this.at << 2 : -1
  }

  use(length: number): void {
    const word = this.at << 2
    const id = this.words[word + 3] & 0xffff
    this.words[word + 2] = length
    this.words[word + 3] = id | ((this.wrap ? AVAIL | USED : 0) << 16)
    this.at = (this.at + 1) & (this.entries - 1)
    if (this.at === 0) this.wrap = !this.wrap
  }
}

export class PackedStandIn implements StandIn {
  private readonly rx: Side
  private readonly tx: Side
  private readonly headers: HeaderWriter
  private readonly headerBytes: number
  private received = 0

  constructor(memory: PacketMemory, rx: RingParts, tx: RingParts) {
    this.rx = new Side(rx)
    this.tx = new Side(tx)
    this.headers = new HeaderWriter(memory, rx)
    this.headerBytes = rx.headerBytes
  }

  transmit(): void {
    while (this.tx.next >= 0) this.tx.use(0)
  }

  receive(packets: number): void {
    const { rx, headers } = this
    for (; packets > 0; packets--) {
      const parts = headers.mergeable ? partsOf(++this.received) : 1
      for (let part = 0; part < parts; part++) {
        const word = rx.next
        if (word < 0) return
        if (part === 0) headers.write(rx.words[word], rx.words[word + 1], parts)
        rx.use(FRAME + this.headerBytes)
      }
    }
  }
}
