import type { RxQueue, TxQueue } from '../../driver/device.ts'
import type { App, AppPort } from '../../engine/app.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { FilterProgram } from '../../packet/filter/program.ts'
import { specialise } from '../../specialise.ts'
import { makeSieve, type Sieve } from '../sieve.ts'

/** The byte that the ixy papers' workload changes: it makes the CPU touch each packet. */
const TOUCHED_BYTE = 48

export interface ForwardOptions {
  /** Increment byte 48 of each packet. */
  readonly touch: boolean
  /** What doesn't match is not passed on; null: everything is. */
  readonly filter: FilterProgram | null
}

/** Moves everything from the first port out of the second and back. */
export const forward: App<ForwardOptions, ForwardOptions> = {
  name: 'forward',
  ports: { min: 2, max: 2 },
  offloads: 'understands',
  passes: [
    [0, 1],
    [1, 0],
  ],
  make({ memory, ports: [a, b], batchSize, rehearsal }, { touch, filter }) {
    const sieves =
      filter === null ? [] : [a, b].map((p) => makeSieve(filter, memory, p, batchSize, rehearsal))
    return {
      step: makeStep(memory, a, b, batchSize, touch, sieves),
      // It remembers nothing, and its code is compiled for these ports alone.
      reset: () => {
        for (const sieve of sieves) sieve.reset()
      },
    }
  },
}

/** A function that moves up to one batch in each direction and returns how many packets that were. `sieves`: of each port, if any. */
export function makeStep(
  memory: PacketMemory,
  a: AppPort,
  b: AppPort,
  batchSize: number,
  touch: boolean,
  sieves: readonly Sieve[],
): () => number {
  const [touched, most] = [touch ? TOUCHED_BYTE : null, batchSize]
  if (sieves.length === 0) {
    const passes = [
      { from: a.rx, to: b.tx, most, touched },
      { from: b.rx, to: a.tx, most, touched },
    ]
    const together = a.tx.mover?.(passes) ?? null
    if (together !== null) return together
  }
  const there = makeMover(memory, a, b, batchSize, touch, sieves[0])
  const back = makeMover(memory, b, a, batchSize, touch, sieves[1])
  return () => there() + back()
}

/**
 * A function that moves up to one batch and returns its size. It takes only what the other side has room for: the rest
 * waits in the card, whose packet buffer is larger than any ring, and what overflows there is counted there (MPC).
 */
export function makeMover(
  memory: PacketMemory,
  from: AppPort,
  to: AppPort,
  batchSize: number,
  touch: boolean,
  sieve?: Sieve,
): () => number {
  const batch = memory.batch(batchSize)
  const touched = touch ? TOUCHED_BYTE : null
  if (sieve === undefined) return specialise(mover)(memory, from.rx.receive, to.tx, batch, touched)
  return specialise(siftingMover)(memory, from.rx.receive, to.tx, batch, touched, sieve.sift)
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

/* istanbul ignore next: counters would be foreign names in it */
/** The same for what a sieve leaves. */
function siftingMover(
  memory: PacketMemory,
  receive: RxQueue['receive'],
  { room, transmit }: TxQueue,
  batch: Int32Array,
  touched: number | null,
  sift: Sieve['sift'],
): () => number {
  const { u8 } = memory
  const size = batch.length

  return () => {
    const free = room()
    const received = receive(batch, free < size ? free : size)
    if (received === 0) return 0
    const kept = sift(batch, received)
    if (kept === 0) return received
    if (touched !== null) {
      for (let i = 0; i < kept; i++) u8[memory.dataOffset(batch[i]) + touched]++
    }
    transmit(batch, 0, kept)
    return received
  }
}
