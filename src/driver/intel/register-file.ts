import { IxyError } from '../../errors.ts'
import type { RegisterWindow } from '../../pci/transport.ts'
import { pollUntil } from '../../linux/clock.ts'
import { type Register, offsetOf } from './register.ts'

/** The part of a BAR that is used here: all registers have 32 bits. */
type Registers = Pick<RegisterWindow, 'bytes' | 'read32' | 'write32' | 'readAll32'>

const hex = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, '0')}`

/**
 * Checked access to a card's registers: what the table forbids is refused here, before it reaches the card.
 * All values are unsigned 32 bit. Control plane only.
 */
export class RegisterFile {
  private readonly window: Registers
  private readonly device: string
  private readonly datasheet: string

  /** `device` and `datasheet` (`82599`) are named in errors. */
  constructor(window: Registers, device: string, datasheet: string) {
    this.window = window
    this.device = device
    this.datasheet = datasheet
  }

  /** Reads a register. RC and RCW registers are cleared by it. */
  read(register: Register, index = 0): number {
    return this.window.read32(this.readable(register, index))
  }

  /** As read of each of these, in this order. */
  readAll(places: readonly { readonly register: Register; readonly index?: number }[]): number[] {
    const { window } = this
    const offsets = places.map(({ register, index = 0 }) => this.readable(register, index))
    return window.readAll32?.(offsets) ?? offsets.map((offset) => window.read32(offset))
  }

  /** Writes a register. Throws IXY_ERR_REGISTER if it is read-only or a reserved bit is set. */
  write(register: Register, value: number, index = 0): void {
    if (register.access === 'RO' || register.access === 'RC') throw this.misuse(register, 'is read-only')
    if ((value & register.reserved) >>> 0 !== 0) {
      throw this.misuse(register, `has reserved bits ${hex(value & register.reserved)} set in ${hex(value)}`)
    }
    this.window.write32(this.locate(register, index), value >>> 0)
  }

  /** Read, modify, write: bits of `clear` become 0, then bits of `set` become 1. Reserved bits are written as 0. */
  modify(register: Register, { set = 0, clear = 0 }: { set?: number; clear?: number }, index = 0): void {
    this.write(register, ((this.read(register, index) & ~register.reserved & ~clear) | set) >>> 0, index)
  }

  /** As comesTo(), but throws IXY_ERR_REGISTER after `deadline` milliseconds. */
  waitFor(register: Register, mask: number, expected: boolean, { deadline = 1000, index = 0 } = {}): void {
    if (this.comesTo(register, mask, expected, { deadline, index })) return
    const value = (this.read(register, index) & mask) >>> 0
    const name = register.count > 1 ? `${register.name}[${index}]` : register.name
    throw new IxyError(
      'IXY_ERR_REGISTER',
      `${this.device}: ${name} & ${hex(mask)} is ${hex(value)}, not ${hex(expected ? mask : 0)}, after ${Math.round(deadline)} ms (${this.datasheet} §${register.section})`,
      'reset the card (reload its kernel driver, or reboot) and try again',
    )
  }

  /**
   * Polls until all bits of `mask` are 1 (`expected` true) or 0; false if they aren't after `deadline` milliseconds. Blocks
   * the thread between polls: these waits are for hardware and last microseconds to milliseconds.
   */
  comesTo(register: Register, mask: number, expected: boolean, { deadline = 1000, index = 0 } = {}): boolean {
    const wanted = expected ? mask >>> 0 : 0
    return pollUntil(() => (this.read(register, index) & mask) >>> 0 === wanted, deadline)
  }

  private readable(register: Register, index: number): number {
    if (register.access === 'WO') throw this.misuse(register, 'is write-only')
    return this.locate(register, index)
  }

  private locate(register: Register, index: number): number {
    const offset = offsetOf(register, index)
    if (offset + 4 > this.window.bytes) {
      throw this.misuse(register, `at ${hex(offset)} lies outside of BAR0 (${this.window.bytes} bytes)`)
    }
    return offset
  }

  private misuse(register: Register, how: string): IxyError {
    return new IxyError(
      'IXY_ERR_REGISTER',
      `${this.device}: ${register.name} ${how} (${this.datasheet} §${register.section})`,
    )
  }
}
