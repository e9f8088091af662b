import type { AppPort } from '../engine/app.ts'
import type { PacketMemory } from '../memory/packets.ts'
import type { FilterProgram } from '../packet/filter/program.ts'
import { makeFilter, type PacketFilter } from '../packet/filter/translate.ts'
import { specialise } from '../specialise.ts'

/** A filter for the packets that one port has received, batch by batch. */
export interface Sieve {
  /**
   * Moves those of the first `count` packets in `batch` that match to its front, and returns how many they are. The others are freed,
   * and counted in the port's `filteredOut`.
   */
  readonly sift: (batch: Int32Array, count: number) => number
  /** The rehearsal is over: for an app that has reset(). */
  readonly reset: () => void
}

/**
 * Makes a sieve, in a worker. `batchSize`: the most packets of a batch. In a `rehearsal` every other packet passes, whatever the filter says
 * of the pretended ones, so that both ways are compiled.
 */
export function makeSieve(
  program: FilterProgram,
  memory: PacketMemory,
  port: AppPort,
  batchSize: number,
  rehearsal: boolean,
): Sieve {
  const pretended = new Int32Array([rehearsal ? 1 : 0])
  const sift = specialise(sieve)(makeFilter(program), memory, port, memory.batch(batchSize), pretended)
  return { sift, reset: () => pretended.fill(0) }
}

/* istanbul ignore next: counters would be foreign names in it */
function sieve(
  filter: PacketFilter,
  memory: PacketMemory,
  port: AppPort,
  others: Int32Array,
  pretended: Int32Array,
): Sieve['sift'] {
  const { u8, size } = memory

  return (batch, count) => {
    let kept = 0
    let out = 0
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      const bytes = size[id]
      let matches = filter(u8, memory.dataOffset(id), bytes, bytes)
      if (pretended[0] !== 0) matches = (i & 1) === 0
      if (matches) batch[kept++] = id
      else others[out++] = id
    }
    if (out > 0) {
      memory.free(others, 0, out)
      port.filteredOut += out
    }
    return kept
  }
}
