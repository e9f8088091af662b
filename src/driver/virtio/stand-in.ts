/** What the stand-ins for both kinds of queues have in common. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { RingParts } from './ring-parts.ts'

export const FRAME = 60
/** Once in so many packets one comes in two parts, which is dropped. */
const FRAGMENT_EVERY = 1009

/** Buffers that a received packet takes. */
export function partsOf(serial: number): number {
  return serial % FRAGMENT_EVERY === 0 ? 2 : 1
}

/** Finds the headers of packets by the addresses that descriptors tell. */
export class HeaderWriter {
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
