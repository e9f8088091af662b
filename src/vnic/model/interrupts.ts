/**
 * Interrupts (82599 §7.3): causes, masks, vectors, throttling.
 *
 * Two words of 32 causes each stand for the queue causes 0 to 63; the low 16 of them are also EICR 15:0. The other
 * causes (link change…) are EICR 30:16. With MSI-X a queue cause is a vector, chosen by IVAR, and IVAR_MISC chooses the
 * vector of the others; without, everything goes to the one interrupt there is.
 */
import { REG } from '../../driver/ixgbe/registers.ts'
import type { CardRegisters } from './registers.ts'

/** Where interrupts go: eventfds of the client. `vector` is 0 for INTx and MSI. */
export interface InterruptSink {
  signal(vector: number): void
}

const QUEUE_BITS = 0xffff
const OTHER_BITS = 0x7fff0000
export const VECTORS = 64
/** IVAR entry: this cause has a vector. */
const VALID = 0x80
/** EITR counts in 2 µs at 10 Gbit/s; ITR_INTERVAL starts at bit 3 (82599 §8.2.3.5.12). */
const ITR_UNIT_MS = 0.002

const GPIE = REG.GPIE.fields

export class Interrupts {
  private readonly registers: CardRegisters
  private readonly sink: InterruptSink
  /** Queue causes 0 to 63. */
  private readonly queueCauses = new Uint32Array(2)
  /** EICR 30:16. */
  private otherCauses = 0
  /** Causes that have been signalled since they were raised or unmasked: no second signal for them. */
  private readonly toldQueue = new Uint32Array(2)
  private toldOther = 0
  /** Earliest time of each vector's next signal, ms; and the vectors that wait for it. */
  private readonly quietUntil = new Float64Array(VECTORS)
  private readonly deferred = new Uint32Array(2)
  private now = 0

  constructor(registers: CardRegisters, sink: InterruptSink) {
    this.registers = registers
    this.sink = sink

    registers.onRead(REG.EICR, () => this.readAndClear())
    registers.onWrite(REG.EICR, (value) => this.clear(value))
    // Reading EICS shows the causes and leaves them.
    registers.onRead(REG.EICS, () => this.eicr())
    registers.onWrite(REG.EICS, (value) => {
      this.raise(0, value & QUEUE_BITS)
      this.raiseOther(value & OTHER_BITS)
    })
    registers.onWrite(REG.EICS_EX, (value, index) => this.raise(index, value))

    registers.onRead(REG.EIMS, () => this.eims())
    registers.onWrite(REG.EIMS, (value) => {
      this.toldOther &= ~(value & ~registers.get(REG.EIMS))
      registers.set(REG.EIMS, (registers.get(REG.EIMS) | value) & OTHER_BITS)
      this.unmask(0, value & QUEUE_BITS)
    })
    registers.onWrite(REG.EIMS_EX, (value, index) => this.unmask(index, value))
    registers.onRead(REG.EIMC, () => 0)
    registers.onWrite(REG.EIMC, (value) => {
      registers.change(REG.EIMS, 0, value)
      registers.change(REG.EIMS_EX, 0, value & QUEUE_BITS)
    })
    registers.onWrite(REG.EIMC_EX, (value, index) => registers.change(REG.EIMS_EX, 0, value, index))
    // EIAM and EIAM_EX[0] share the 16 queue bits as EIMS and EIMS_EX do.
    registers.onRead(REG.EIAM, () => registers.get(REG.EIAM) | (registers.get(REG.EIAM_EX) & QUEUE_BITS))
    registers.onWrite(REG.EIAM, (value) => {
      registers.set(REG.EIAM, value & OTHER_BITS)
      registers.change(REG.EIAM_EX, value & QUEUE_BITS, QUEUE_BITS)
    })
  }

  reset(): void {
    this.queueCauses.fill(0)
    this.otherCauses = 0
    this.toldQueue.fill(0)
    this.toldOther = 0
    this.quietUntil.fill(0)
    this.deferred.fill(0)
  }

  private get msix(): boolean {
    return this.registers.test(REG.GPIE, GPIE.MULTIPLE_MSIX.mask)
  }

  private eicr(): number {
    return this.otherCauses | (this.queueCauses[0] & QUEUE_BITS)
  }

  private eims(): number {
    return this.registers.get(REG.EIMS) | (this.registers.get(REG.EIMS_EX) & QUEUE_BITS)
  }

  /** A cause is pending that is not masked: INTx is a level and stays asserted for so long (82599 §7.3.1). */
  get pending(): boolean {
    return (this.eicr() & this.eims()) !== 0
  }

  /** EICR is cleared by reading; with GPIE.OCD only the other causes are (82599 §8.2.3.5.18). */
  private readAndClear(): number {
    const { registers } = this
    const value = this.eicr()
    this.clear(registers.test(REG.GPIE, GPIE.OCD.mask) ? OTHER_BITS : 0xffffffff)
    // Without MSI-X the causes in EIAM are masked by the read (82599 §7.3.1.3).
    if (!this.msix && value !== 0) {
      const mask = registers.get(REG.EIAM) | (registers.get(REG.EIAM_EX) & QUEUE_BITS)
      registers.change(REG.EIMS, 0, value & mask)
      registers.change(REG.EIMS_EX, 0, value & mask & QUEUE_BITS)
    }
    return value
  }

  private clear(causes: number): void {
    this.queueCauses[0] &= ~(causes & QUEUE_BITS)
    this.otherCauses &= ~causes
  }

  /** A receive or transmit queue has written back descriptors. */
  queueEvent(transmit: boolean, queue: number): void {
    const shift = ((queue & 1) << 4) | (transmit ? 8 : 0)
    const entry = (this.registers.get(REG.IVAR, queue >> 1) >>> shift) & 0xff
    if ((entry & VALID) === 0) return
    // Without MSI-X only 16 causes exist (82599 §7.3.4.1).
    const cause = entry & (this.msix ? VECTORS - 1 : 15)
    this.raise(cause >> 5, 1 << (cause & 31))
  }

  /** Causes in EICR 30:16. */
  raiseOther(causes: number): void {
    this.otherCauses |= causes
    this.toldOther &= ~causes
    this.deliver()
  }

  private raise(index: number, causes: number): void {
    this.queueCauses[index] |= causes
    this.toldQueue[index] &= ~causes
    this.deliver()
  }

  private unmask(index: number, causes: number): void {
    const { registers } = this
    this.toldQueue[index] &= ~(causes & ~registers.get(REG.EIMS_EX, index))
    registers.change(REG.EIMS_EX, causes, 0, index)
    this.deliver()
  }

  /** The client can take an interrupt again: what is still pending is signalled once more (level-triggered INTx). */
  resample(): void {
    this.toldQueue.fill(0)
    this.toldOther = 0
    this.deliver()
  }

  /** Call often: throttled interrupts go out when their time has come. Returns when the next one will, or Infinity. */
  tick(now: number): number {
    this.now = now
    if ((this.deferred[0] | this.deferred[1]) === 0) return Infinity
    // A cause may have been masked or cleared meanwhile: what still has to wait, deliver() notes again.
    this.deferred.fill(0)
    this.deliver()
    let next = Infinity
    for (let vector = 0; vector < VECTORS; vector++)
      if (((this.deferred[vector >> 5] >>> (vector & 31)) & 1) === 1)
        next = Math.min(next, this.quietUntil[vector])
    return next
  }

  /** Signals every cause that is not masked and not yet signalled, as far as EITR lets it. */
  private deliver(): void {
    const { registers, queueCauses, toldQueue } = this
    if (!this.msix) {
      const untold = (this.otherCauses & ~this.toldOther) | (queueCauses[0] & ~toldQueue[0] & QUEUE_BITS)
      if ((untold & this.eims()) === 0 || !this.fire(0)) return
      toldQueue[0] |= queueCauses[0]
      this.toldOther |= this.otherCauses
      return
    }
    for (let index = 0; index < 2; index++) {
      let ready = queueCauses[index] & ~toldQueue[index] & registers.get(REG.EIMS_EX, index)
      while (ready !== 0) {
        const bit = 31 - Math.clz32(ready)
        ready &= ~(1 << bit)
        if (this.fire(index * 32 + bit)) this.queueCauseTold(index, 1 << bit)
      }
    }
    const other = this.otherCauses & ~this.toldOther & registers.get(REG.EIMS)
    const entry = (registers.get(REG.IVAR_MISC) >>> 8) & 0xff
    if (other !== 0 && (entry & VALID) !== 0 && this.fire(entry & (VECTORS - 1))) this.otherCausesTold(other)
  }

  /** Auto-clear and auto-mask of what a vector has just reported (82599 §7.3.1.3, §7.3.1.4). */
  private queueCauseTold(index: number, cause: number): void {
    const { registers } = this
    this.toldQueue[index] |= cause
    // EIAC covers the 16 causes that EICR shows; those above have no other way to be cleared.
    const autoClear = index === 0 ? registers.get(REG.EIAC) | ~QUEUE_BITS : 0xffffffff
    this.queueCauses[index] &= ~(cause & autoClear)
    if (registers.test(REG.GPIE, GPIE.EIAME.mask))
      registers.change(REG.EIMS_EX, 0, cause & registers.get(REG.EIAM_EX, index), index)
  }

  private otherCausesTold(causes: number): void {
    const { registers } = this
    this.toldOther |= causes
    this.otherCauses &= ~(causes & registers.get(REG.EIAC))
    if (registers.test(REG.GPIE, GPIE.EIAME.mask))
      registers.change(REG.EIMS, 0, causes & registers.get(REG.EIAM))
  }

  /** Signals a vector unless it is throttled; then it is remembered. */
  private fire(vector: number): boolean {
    const word = vector >> 5
    const bit = 1 << (vector & 31)
    if (this.now < this.quietUntil[vector]) {
      this.deferred[word] |= bit
      return false
    }
    this.deferred[word] &= ~bit
    const interval = (this.registers.get(REG.EITR, vector) & REG.EITR.fields.ITR_INTERVAL.mask) >>> 3
    this.quietUntil[vector] = this.now + interval * ITR_UNIT_MS
    this.sink.signal(vector)
    return true
  }
}
