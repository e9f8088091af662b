/** A device of a few lines, for rehearsals: what it does with split queues, and nothing else. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { StandIn } from '../queues.ts'
import { splitLayout } from './layout.ts'
import { NO_NOTIFY } from './queue-words.ts'
import type { RingParts } from './ring-parts.ts'
import { FRAME, HeaderWriter, partsOf } from './stand-in.ts'

class Side {
  readonly words: Uint32Array
  readonly halfs: Uint16Array
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

  /** Descriptor chains that belong to the device. */
  get waiting(): number {
    return (this.halfs[this.available + 1] - this.done) & 0xffff
  }

  /** The first descriptor of the next chain. */
  get next(): number {
    return this.halfs[this.available + 2 + (this.done & (this.entries - 1))]
  }

  use(length: number): void {
    const element = (this.used >> 1) + 1 + ((this.done & (this.entries - 1)) << 1)
    this.words[element] = this.next
    this.words[element + 1] = length
    this.done = (this.done + 1) & 0xffff
    this.halfs[this.used + 1] = this.done
  }
}

export class SplitStandIn implements StandIn {
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
    while (this.tx.waiting > 0) this.tx.use(0)
  }

  receive(packets: number): void {
    const { rx, headers } = this
    for (; packets > 0 && rx.waiting > 1; packets--) {
      const parts = headers.mergeable ? partsOf(++this.received) : 1
      for (let part = 0; part < parts; part++) {
        const word = rx.next << 2
        if (part === 0) headers.write(rx.words[word], rx.words[word + 1], parts)
        rx.use(FRAME + this.headerBytes)
      }
    }
  }
}
