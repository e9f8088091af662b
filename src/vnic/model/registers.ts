/**
 * BAR0 as the host sees it: the register table brought to life.
 *
 * Values live in 32-bit words over a buffer that the caller provides, so that a client may map pages of it. A host
 * access goes through read() and write(), which behave as the table's access mode says; units of the model hook into
 * single registers where that isn't enough. The units themselves use get() and set(), which have no side effects.
 */
import { offsetOf, type Range, type Register } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { ABSENT } from '../../driver/ixgbe/table/absent.ts'
import type { Strict } from './strict.ts'

/** Size of BAR0. Registers fill the first 128 KiB, the rest reads as zero (82599 §8.1.1). */
export const BAR0_BYTES = 512 * 1024
const REGISTER_WORDS = (128 * 1024) / 4

/** Returns what the host reads from `register[index]`; clears it if reading does that. */
export type ReadHook = (index: number) => number
/** Does what the host's write means, storing included. `value` is unsigned and has no reserved bits. */
export type WriteHook = (value: number, index: number) => void

interface Entry {
  readonly register: Register
  read: ReadHook | undefined
  write: WriteHook | undefined
}

/** For each word of the registers: which entry, which index of it, which word holds the value (aliases: another), and its reset value. */
interface Layout {
  readonly entryAt: Int16Array
  readonly indexAt: Uint16Array
  readonly homeOf: Uint16Array
  readonly resets: Uint32Array
}

let layout: Layout | undefined

/** All cards have the same, of 7,600 words: made once, and range by range. */
function makeLayout(): Layout {
  const entryAt = new Int16Array(REGISTER_WORDS).fill(-1)
  const indexAt = new Uint16Array(REGISTER_WORDS)
  const homeOf = new Uint16Array(REGISTER_WORDS)
  const resets = new Uint32Array(REGISTER_WORDS)
  Object.values<Register>(REG).forEach(({ ranges, aliases, reset }, entry) => {
    const homes = ranges.flatMap(wordsOf)
    const place = (word: number, index: number): void => {
      entryAt[word] = entry
      indexAt[word] = index
      homeOf[word] = homes[index]
    }
    homes.forEach(place)
    aliases.flatMap(wordsOf).forEach(place)
    for (const word of homes) resets[word] = reset
  })
  return { entryAt, indexAt, homeOf, resets }
}

function wordsOf({ base, stride, count }: Range): number[] {
  return Array.from({ length: count }, (_, i) => (base + i * stride) >> 2)
}

export class CardRegisters {
  readonly words: Uint32Array
  private readonly strict: Strict
  private readonly entries: Entry[]
  private readonly byName: ReadonlyMap<string, Entry>
  private readonly entryAt: Int16Array
  private readonly indexAt: Uint16Array
  private readonly homeOf: Uint16Array
  private readonly resets: Uint32Array

  /** `buffer` has BAR0_BYTES bytes. Registers hold what the buffer holds until reset() is called. */
  constructor(buffer: ArrayBufferLike, strict: Strict) {
    this.words = new Uint32Array(buffer, 0, BAR0_BYTES / 4)
    this.strict = strict
    this.entries = Object.values<Register>(REG).map((register) => ({
      register,
      read: undefined,
      write: undefined,
    }))
    this.byName = new Map(this.entries.map((entry) => [entry.register.name, entry]))
    const { entryAt, indexAt, homeOf, resets } = (layout ??= makeLayout())
    this.entryAt = entryAt
    this.indexAt = indexAt
    this.homeOf = homeOf
    this.resets = resets
  }

  private entryOf(register: Register): Entry {
    const entry = this.byName.get(register.name)
    if (entry === undefined) throw new RangeError(`${register.name} is not in the register table`)
    return entry
  }

  /** Replaces what a host read of `register` does. */
  onRead(register: Register, hook: ReadHook): void {
    this.entryOf(register).read = hook
  }

  /** Replaces what a host write of `register` does. */
  onWrite(register: Register, hook: WriteHook): void {
    this.entryOf(register).write = hook
  }

  /** What a one in `bits` asks for is done at once: they read back as zero. */
  selfClearing(register: Register, bits: number): void {
    this.onWrite(register, (value, index) => this.set(register, value & ~bits, index))
  }

  get(register: Register, index = 0): number {
    return this.words[offsetOf(register, index) >> 2]
  }

  set(register: Register, value: number, index = 0): void {
    this.words[offsetOf(register, index) >> 2] = value
  }

  /** Sets and clears bits. */
  change(register: Register, set: number, clear: number, index = 0): void {
    this.set(register, (this.get(register, index) & ~clear) | set, index)
  }

  /** True if any bit of `mask` is set. */
  test(register: Register, mask: number, index = 0): boolean {
    return (this.get(register, index) & mask) !== 0
  }

  /** Every register gets its reset value, except the plain ones listed; what is between them is zero. */
  reset(except: readonly Register[] = []): void {
    const kept = except.map((register) => this.get(register))
    this.words.set(this.resets)
    except.forEach((register, i) => this.set(register, kept[i]))
  }

  /** A host read of the register at byte `offset` (a multiple of 4, below BAR0_BYTES). Unsigned. */
  read(offset: number): number {
    const word = offset >>> 2
    const number = word < REGISTER_WORDS ? this.entryAt[word] : -1
    if (number < 0) {
      this.strict.report('8.2.3', `read of ${nameOfNothing(offset)}`)
      return 0
    }
    const { register, read } = this.entries[number]
    if (read !== undefined) return read(this.indexAt[word]) >>> 0
    const home = this.homeOf[word]
    const value = this.words[home]
    if (register.access === 'WO') return 0
    if (register.access === 'RC' || register.access === 'RCW') this.words[home] = 0
    return value
  }

  /** A host write of the register at byte `offset` (a multiple of 4, below BAR0_BYTES). */
  write(offset: number, raw: number): void {
    const word = offset >>> 2
    const number = word < REGISTER_WORDS ? this.entryAt[word] : -1
    if (number < 0) {
      this.strict.report('8.2.3', `write to ${nameOfNothing(offset)}`)
      return
    }
    const { register, write } = this.entries[number]
    const value = (raw & ~register.reserved) >>> 0
    const reserved = raw & register.reserved
    if (reserved !== 0)
      this.strict.report(register.section, `reserved bits of ${register.name} written with ones`, reserved)
    if (write !== undefined) return write(value, this.indexAt[word])
    const home = this.homeOf[word]
    switch (register.access) {
      case 'RW':
      case 'RWS':
        this.words[home] = value
        return
      case 'RCW':
        this.words[home] &= ~value
        return
      case 'RO':
      case 'RC':
        this.strict.report(register.section, `write to ${register.name}, which is read-only`)
        return
      case 'WO':
    }
  }
}

/** What a driver may think is at an address where there is no register. */
function nameOfNothing(offset: number): string {
  const absent = ABSENT.find(({ range }) => within(range, offset))
  if (absent === undefined) return `0x${offset.toString(16)}, where no register is`
  return `${absent.name}, which the ${absent.card} has and this card does not`
}

function within({ base, stride, count }: Range, offset: number): boolean {
  const past = offset - base
  return past >= 0 && past < stride * count && past % stride === 0
}
