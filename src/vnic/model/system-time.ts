/**
 * SYSTIM, the card's clock (82599 §7.9, §8.2.3.26): 64 bits, to which TIMINCA.INCVALUE is added every TIMINCA.INCPERIOD cycles of
 * 6.4 ns. What its unit is, is the host's affair: it chooses INCVALUE, and corrects the clock's rate by it.
 *
 * It follows the machine's monotonic clock, so two cards of a process run equally fast.
 */
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import type { CardRegisters } from './registers.ts'

/** The clock of the card's DMA at 10 Gbit/s, or without a link, milliseconds: 156.25 MHz. */
const CYCLE_MS = 6.4e-6
const WORD = 2 ** 32

/** A value of SYSTIM: its low and its high word. */
export type SystemTimeWords = Uint32Array

export class SystemTime {
  private readonly registers: CardRegisters
  /** Milliseconds, monotonic. */
  private readonly clock: () => number
  /** What it was at `since`. */
  private readonly base: SystemTimeWords = new Uint32Array(2)
  private since = 0
  private readonly now: SystemTimeWords = new Uint32Array(2)

  constructor(registers: CardRegisters, clock: () => number) {
    this.registers = registers
    this.clock = clock
    // Reading the low word keeps the high one, which belongs to it, for the read that follows.
    registers.onRead(REG.SYSTIML, () => {
      this.read(this.now)
      registers.set(REG.SYSTIMH, this.now[1])
      return this.now[0]
    })
    registers.onWrite(REG.SYSTIML, (value) => this.set(0, value))
    registers.onWrite(REG.SYSTIMH, (value) => this.set(1, value))
    registers.onWrite(REG.TIMINCA, (value) => {
      this.rebase()
      registers.set(REG.TIMINCA, value)
    })
    registers.onWrite(REG.TIMADJ, (value, index) => {
      registers.set(REG.TIMADJ, value, index)
      if (index === 1) this.adjust(registers.get(REG.TIMADJ, 0), value)
    })
  }

  reset(): void {
    this.base.fill(0)
    this.since = this.clock()
  }

  private set(word: 0 | 1, value: number): void {
    this.rebase()
    this.base[word] = value
    this.registers.set(REG.SYSTIMH, this.base[1])
  }

  /** Adds a number of 63 bits, or with the highest bit set subtracts it. */
  private adjust(low: number, high: number): void {
    this.rebase()
    const { base } = this
    const sign = high >>> 31 === 0 ? 1 : -1
    const sum = base[0] + sign * low
    base[0] = sum
    base[1] += sign * (high & 0x7fffffff) + Math.floor(sum / WORD)
  }

  /** Begins anew from here, with what it shows now. */
  private rebase(): void {
    this.since += this.read(this.base) * CYCLE_MS
  }

  /**
   * Writes what it shows into `words`, which may be the base: now, or `at` a moment not long ago. Returns how many cycles have
   * been counted for that. A product of 53 and 24 bits doesn't fit a number: it is made of two.
   */
  read(words: SystemTimeWords, at = this.clock()): number {
    const { base, registers } = this
    const timinca = registers.get(REG.TIMINCA)
    const step = get(REG.TIMINCA.fields.INCVALUE, timinca)
    const period = get(REG.TIMINCA.fields.INCPERIOD, timinca)
    const cycles = Math.max(0, Math.floor((at - this.since) / CYCLE_MS))
    // Without a period it stands still.
    const steps = period === 0 ? 0 : Math.floor(cycles / period)
    const lower = (steps % 2 ** 24) * step
    const upper = Math.floor(steps / 2 ** 24) * step
    const sum = base[0] + (lower % WORD) + (upper % 2 ** 8) * 2 ** 24
    words[1] = base[1] + Math.floor(lower / WORD) + Math.floor(upper / 2 ** 8) + Math.floor(sum / WORD)
    words[0] = sum
    return period === 0 ? cycles : steps * period
  }
}
