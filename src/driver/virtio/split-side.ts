/** What the stand-in of a rehearsal does with split queues. */
import { splitLayout } from './layout.ts'
import { NO_NOTIFY } from './queue-words.ts'
import type { RingParts } from './ring-parts.ts'
import type { DeviceSide } from './stand-in.ts'

export class SplitSide implements DeviceSide {
  readonly words: Uint32Array
  private readonly halfs: Uint16Array
  private readonly entries: number
  private readonly available: number
  private readonly used: number
  private done = 0

  constructor({ ring, entries }: RingParts) {
    const { available, used } = splitLayout(entries)
    this.words = new Uint32Array(ring)
    this.halfs = new Uint16Array(ring)
    this.entries = entries
    this.available = available >> 1
    this.used = used >> 1
    this.halfs[this.used] = NO_NOTIFY
  }

  get next(): number {
    if (this.halfs[this.available + 1] === this.done) return -1
    return this.head << 2
  }

  /** The first descriptor of the next chain. */
  private get head(): number {
    return this.halfs[this.available + 2 + (this.done & (this.entries - 1))]
  }

  use(length: number): void {
    const element = (this.used >> 1) + 1 + ((this.done & (this.entries - 1)) << 1)
    this.words[element] = this.head
    this.words[element + 1] = length
    this.done = (this.done + 1) & 0xffff
    this.halfs[this.used + 1] = this.done
  }
}
