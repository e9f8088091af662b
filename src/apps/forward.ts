import type { DataPlane, DataPort } from '../engine/data-plane.ts'
import type { PacketMemory } from '../memory/packets.ts'

/** The byte that the ixy papers' workload changes: it makes the CPU touch each packet. */
const TOUCHED_BYTE = 48

/** Everything from the first port out of the second and back, until told to stop; then what is left in the rings. */
export function forward(plane: DataPlane, touch: boolean): void {
  const [a, b] = plane.ports
  const { memory, batchSize } = plane
  const batch = new Int32Array(batchSize)
  while (plane.running()) {
    plane.rest(move(memory, a, b, batch, touch) + move(memory, b, a, batch, touch))
  }
  plane.drain(() => move(memory, a, b, batch, touch) + move(memory, b, a, batch, touch))
}

/**
 * Moves up to one batch and returns its size. Takes only what the other side has room for: the rest waits in the
 * card, whose packet buffer is larger than any ring, and what overflows there is counted there (MPC).
 */
export function move(
  memory: PacketMemory,
  from: DataPort,
  to: DataPort,
  batch: Int32Array,
  touch: boolean,
): number {
  const room = to.tx.room()
  const received = from.rx.receive(batch, room < batch.length ? room : batch.length)
  if (received === 0) return 0
  if (touch) {
    const { u8 } = memory
    for (let i = 0; i < received; i++) u8[memory.dataOffset(batch[i]) + TOUCHED_BYTE]++
  }
  return to.tx.transmit(batch, 0, received)
}
