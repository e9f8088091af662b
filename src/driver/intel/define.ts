/** How a register table writes down its entries. Used by tables only. */
import type { Access, Field, Range, Register } from './register.ts'

export interface Extra {
  /** Value after a device reset; 0 if left out. */
  reset?: number
  /** Bits that must be written as zero. */
  reserved?: number
  /** Second addresses. */
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

/** A counter that is cleared by reading it. */
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

/** The table: gives each entry the name it has in there. */
export function table<T extends Record<string, Unnamed<string>>>(
  entries: T,
): { [K in keyof T]: T[K] & { readonly name: string } } {
  for (const [name, entry] of Object.entries(entries)) Object.assign(entry, { name })
  return entries as { [K in keyof T]: T[K] & { readonly name: string } }
}
