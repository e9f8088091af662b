/** A device of a few lines, for rehearsals: what it does with queues, and nothing else. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { StandIn } from '../queues.ts'
import type { RingParts } from './ring-parts.ts'

const FRAME = 60
/** Once in so many packets one comes in two parts, which is dropped. */
const FRAGMENT_EVERY = 1009

/** The device's side of a queue. */
export interface DeviceSide {
  readonly words: Uint32Array
  /** The first word of the next descriptor that belongs to the device; -1 if there is none. */
  readonly next: number
  /** Gives that one back, `length` bytes of it written. */
  use(length: number): void
}

/** Buffers that a received packet takes. */
function partsOf(serial: number): number {
  return serial % FRAGMENT_EVERY === 0 ? 2 : 1
}

/** Finds the headers of packets by the addresses that descriptors tell. */
class HeaderWriter {
  readonly mergeable: boolean
  private readonly places = new Map<number, number>()
  private readonly halfs: Uint16Array

  constructor(memory: PacketMemory, { heads, mergeable }: RingParts) {
    this.mergeable = mergeable
    const { u8 } = memory
    this.halfs = new Uint16Array(u8.buffer, u8.byteOffset, u8.length >> 1)
    const words = new Uint32Array(heads.buffer)
    for (let id = 0; id < heads.length; id++)
      this.places.set(words[2 * id] + words[2 * id + 1] * 2 ** 32, (memory.dataOffset(id) - 2) >> 1)
  }

  /** num_buffers of the packet whose header is at this address. */
  write(low: number, high: number, parts: number): void {
    const place = this.places.get(low + high * 2 ** 32)
    if (place !== undefined) this.halfs[place] = parts
  }
}

export class VirtioStandIn implements StandIn {
  private readonly rx: DeviceSide
  private readonly tx: DeviceSide
  private readonly headers: HeaderWriter
  private readonly headerBytes: number
  private received = 0

  /** `parts`: of the receive queue. */
  constructor(memory: PacketMemory, parts: RingParts, rx: DeviceSide, tx: DeviceSide) {
    this.rx = rx
    this.tx = tx
    this.headers = new HeaderWriter(memory, parts)
    this.headerBytes = parts.headerBytes
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
