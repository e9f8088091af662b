/** DMA memory for queues. */
import type { DmaArena, DmaBlock } from '../../memory/arena.ts'
import type { QueueAddresses } from './function.ts'
import { QUEUE_PAGE, packedLayout, roundUp, splitLayout } from './layout.ts'

/** A queue in DMA memory, and where the device finds its parts. */
export interface QueueMemory {
  readonly block: DmaBlock
  readonly addresses: QueueAddresses
}

/** Bytes that takeQueue() takes at most, what is lost in front of it included. */
export function queueBytes(entries: number): number {
  return splitLayout(entries).bytes + 2 * QUEUE_PAGE
}

export function takeQueue(arena: DmaArena, entries: number, packed: boolean): QueueMemory {
  if (packed) {
    const { bytes, driver, device } = packedLayout(entries)
    const block = arena.take(bytes)
    const { iova } = block
    return { block, addresses: { descriptors: iova, driver: iova + driver, device: iova + device } }
  }
  const { bytes, available, used } = splitLayout(entries)
  const whole = arena.take(bytes + QUEUE_PAGE)
  const skip = roundUp(whole.iova, QUEUE_PAGE) - whole.iova
  const iova = whole.iova + skip
  const block = { address: whole.address + BigInt(skip), iova, bytes }
  return { block, addresses: { descriptors: iova, driver: iova + available, device: iova + used } }
}
