import type { DataPlane, DataPort } from '../engine/data-plane.ts'
import { specialise } from '../specialise.ts'
import type { RxQueue, TxQueue } from '../driver/device.ts'
import type { PacketMemory } from '../memory/packets.ts'

/** The byte that the ixy papers' workload changes: it makes the CPU touch each packet. */
const TOUCHED_BYTE = 48

/**
 * An app that moves everything from the first port out of the second and back, until told to stop; then what is left in
 * the rings. Make it once and run it first in the rehearsal: its code is compiled for these ports alone.
 */
export function makeForward(
  memory: PacketMemory,
  [a, b]: readonly DataPort[],
  batchSize: number,
  touch: boolean,
): (plane: DataPlane) => void {
  const there = makeMover(memory, a, b, batchSize, touch)
  const back = makeMover(memory, b, a, batchSize, touch)
  return (plane) => {
    while (plane.running()) plane.rest(there() + back())
    plane.drain(() => there() + back())
  }
}

/**
 * A function that moves up to one batch and returns its size. It takes only what the other side has room for: the rest
 * waits in the card, whose packet buffer is larger than any ring, and what overflows there is counted there (MPC).
 */
export function makeMover(
  memory: PacketMemory,
  from: DataPort,
  to: DataPort,
  batchSize: number,
  touch: boolean,
): () => number {
  const batch = memory.batch(batchSize)
  return specialise(mover)(memory, from.rx.receive, to.tx, batch, touch ? TOUCHED_BYTE : null)
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each direction. */
function mover(
  memory: PacketMemory,
  receive: RxQueue['receive'],
  { room, transmit }: TxQueue,
  batch: Int32Array,
  touched: number | null,
): () => number {
  const { u8 } = memory
  const size = batch.length

  return () => {
    const free = room()
    const received = receive(batch, free < size ? free : size)
    if (received === 0) return 0
    if (touched !== null) {
      for (let i = 0; i < received; i++) u8[memory.dataOffset(batch[i]) + touched]++
    }
    return transmit(batch, 0, received)
  }
}
