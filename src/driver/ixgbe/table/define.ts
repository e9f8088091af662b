/** How the register table writes down an entry. Used by the files beside this one only. */
import type { Access, Field, Range, Register } from '../register.ts'

export interface Extra {
  /** Value after a device reset; 0 if left out. */
  reset?: number
  /** Bits that must be written as zero. */
  reserved?: number
  /** Second addresses, kept from the 82598. */
  aliases?: readonly Range[]
}

/** A register before the table gives it its name. */
export type Unnamed<F extends string> = Omit<Register<F>, 'name'>

/** `count` registers from byte `base`, `stride` bytes apart. */
export function at(base: number, stride = 4, count = 1): Range {
  return { base, stride, count }
}

export function define<F extends string = never>(
  section: string,
  access: Access,
  where: Range | readonly Range[],
  description: string,
  fields: Record<F, Field> = {} as Record<F, Field>,
  { reset = 0, reserved = 0, aliases = [] }: Extra = {},
): Unnamed<F> {
  const ranges = 'base' in where ? [where] : where
  const count = ranges.reduce((sum, range) => sum + range.count, 0)
  return {
    ranges,
    aliases,
    count,
    access,
    section,
    description,
    fields,
    reset: reset >>> 0,
    reserved: reserved >>> 0,
  }
}

/** A counter that is cleared by reading it (82599 §8.2.3.23). */
export function counter(
  section: string,
  base: number,
  description: string,
  count = 1,
  stride = 4,
  aliases: readonly Range[] = [],
): Unnamed<never> {
  return define(section, 'RC', at(base, stride, count), description, {}, { aliases })
}

/** Receive queues 0…63 and 64…127 live in two blocks (82599 §8.2.3.8). */
export function rxQueue(offset: number): readonly Range[] {
  return [at(0x01000 + offset, 0x40, 64), at(0x0d000 + offset, 0x40, 64)]
}

export function txQueue(offset: number): Range {
  return at(0x06000 + offset, 0x40, 128)
}
