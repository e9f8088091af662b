/** What the stand-in of a rehearsal does with packed queues. */
import { packedLayout } from './layout.ts'
import { AVAIL, EVENTS_DISABLE, USED } from './queue-words.ts'
import type { RingParts } from './ring-parts.ts'
import type { DeviceSide } from './stand-in.ts'

export class PackedSide implements DeviceSide {
  readonly words: Uint32Array
  private readonly entries: number
  private at = 0
  private wrap = true

  constructor({ ring, entries }: RingParts) {
    this.words = new Uint32Array(ring)
    this.entries = entries
    this.words[packedLayout(entries).device >> 2] = EVENTS_DISABLE << 16
  }

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
