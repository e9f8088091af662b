/** Where the registers of the queues are. */
import { at } from '../../intel/define.ts'
import type { Range } from '../../intel/register.ts'

/** Receive queues 0…63 and 64…127 live in two blocks (82599 §8.2.3.8). */
export function rxQueue(offset: number): readonly Range[] {
  return [at(0x01000 + offset, 0x40, 64), at(0x0d000 + offset, 0x40, 64)]
}

export function txQueue(offset: number): Range {
  return at(0x06000 + offset, 0x40, 128)
}
