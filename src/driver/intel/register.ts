/** What a register is. Each family of cards has a table of them; driver, virtual NIC, register dump and tests all read it. */

/**
 * How a register behaves on access (82599 datasheet §8.2.2, "register field attributes").
 *
 * - RO  read only; writes are ignored by the card and refused by the driver
 * - RW  reads back what was written
 * - WO  write only; reads return 0
 * - RC  clear on read: statistics. Exactly one reader may exist per process
 * - RCW clear on read, and writing a one clears the bit: interrupt causes
 * - RWS read-write, but bits clear themselves when the card is done: resets, semaphores, commands
 */
export type Access = 'RO' | 'RW' | 'WO' | 'RC' | 'RCW' | 'RWS'

/** A bit range of a register. `mask` is unsigned 32 bit, already shifted. */
export interface Field {
  readonly shift: number
  readonly width: number
  readonly mask: number
}

/** `count` registers starting at byte `base`, `stride` bytes apart. */
export interface Range {
  readonly base: number
  readonly stride: number
  readonly count: number
}

export interface Register<F extends string = string> {
  /** The datasheet's name; arrays without index: `RDBAL`. Set by the table. */
  readonly name: string
  /** Consecutive index ranges; a plain register is one range of count 1. */
  readonly ranges: readonly Range[]
  /** Addresses where index 0… of this register appears a second time, kept from an older card (82599 §8.2.2). */
  readonly aliases: readonly Range[]
  /** Total number of registers over all ranges. */
  readonly count: number
  readonly access: Access
  /** Section of the card's datasheet, without the §. */
  readonly section: string
  readonly description: string
  readonly fields: Readonly<Record<F, Field>>
  /** Value after a device reset. Unsigned 32 bit. */
  readonly reset: number
  /** Bits that must be written as zero. Unsigned 32 bit. */
  readonly reserved: number
}

/** A field of one bit. */
export function bit(shift: number): Field {
  return { shift, width: 1, mask: (1 << shift) >>> 0 }
}

/** A field from bit `high` down to bit `low`, both included, as the datasheet writes them. */
export function bits(high: number, low: number): Field {
  const width = high - low + 1
  return { shift: low, width, mask: ((2 ** width - 1) << low) >>> 0 }
}

/** The byte offset of `register[index]` in BAR0. Throws RangeError beyond the array. */
export function offsetOf(register: Register, index = 0): number {
  let rest = index
  for (const range of register.ranges) {
    if (rest < range.count && rest >= 0) return range.base + rest * range.stride
    rest -= range.count
  }
  throw new RangeError(`${register.name}[${index}] does not exist: it has ${register.count} entries`)
}

/** `value` placed into `field`. Throws RangeError when it doesn't fit. */
export function put(field: Field, value: number): number {
  if (value < 0 || value >= 2 ** field.width)
    throw new RangeError(`${value} does not fit ${field.width} bits`)
  return (value << field.shift) >>> 0
}

/** The value of `field` in the register value `word`. */
export function get(field: Field, word: number): number {
  return (word & field.mask) >>> field.shift
}
