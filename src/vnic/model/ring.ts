/**
 * The device's side of a descriptor ring (82599 §7.1.9, §7.2.3.3): where its memory is, head and tail.
 *
 *     base                head (ours)              tail (the host's)
 *       ▼                   ▼                          ▼
 *     ┌───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┬───┐
 *     │   │   │   │   │   │ ▒ │ ▒ │ ▒ │ ▒ │ ▒ │ ▒ │ ▒ │   │   │   │     ▒  the device may use these
 *     └───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┘
 *
 * A client that shares doorbell pages writes the tail straight into the register's word; it is read from there with
 * an acquiring load, so that the descriptors behind it are seen as they were when the host rang.
 */
import { offsetOf, type Register } from '../../driver/intel/register.ts'
import type { Bytes } from '../../packet/bytes.ts'
import type { DmaMap, Region } from './dma.ts'
import { sharedSpace } from '../space.ts'
import type { CardRegisters } from './registers.ts'
import { SUMS } from './statistics.ts'
import type { Strict } from './strict.ts'

export const DESCRIPTOR_BYTES = 16
/** Rings start at and are multiples of this (82599 §7.1.9, §7.2.3.3). */
const RING_UNIT = 128
/** Longest ring that has been validated: 8 K descriptors (82599 §8.2.3.8.3). */
const MAX_ENTRIES = 8192

/** The registers of one kind of ring. */
export interface RingRegisters {
  /** `receive` or `transmit`, for reports. */
  readonly kind: string
  readonly baseLow: Register
  readonly baseHigh: Register
  readonly length: Register
  readonly head: Register
  readonly tail: Register
  readonly control: Register<'ENABLE' | 'SWFLSH'>
}

const NO_WORDS: Uint32Array = new Uint32Array(4)
const NO_BYTES: Bytes = { u8: new Uint8Array(0), u32: new Uint32Array(0) }

export class Ring {
  readonly index: number
  /** What the data path has counted since `Statistics` has last taken it over. */
  readonly sums = sharedSpace().takeInts(SUMS)
  protected readonly sumsAt = this.sums.byteOffset
  /** The host has enabled the queue. */
  enabled = false
  /** The view that holds the ring, and the index of its first word in it. Valid while `entries` is not 0. */
  words = NO_WORDS
  first = 0
  /** 0: the ring's memory is unknown, nothing can be done. */
  entries = 0
  head = 0
  tail = 0
  /**
   * The region of host memory used last for a buffer: its view, where it starts and ends in it, and the address at which
   * the view would start. No bytes: none. Infinity, as V8 has to throw code away when a field of small integers gets a
   * number of another kind.
   */
  buffer = NO_BYTES
  bufferFirst = Infinity
  bufferEnd = -Infinity
  bufferBase = Infinity

  protected readonly registers: CardRegisters
  protected readonly dma: DmaMap
  protected readonly strict: Strict
  private readonly names: RingRegisters
  private readonly tailWord: number
  private readonly headWord: number

  constructor(names: RingRegisters, index: number, registers: CardRegisters, dma: DmaMap, strict: Strict) {
    this.names = names
    this.index = index
    this.registers = registers
    this.dma = dma
    this.strict = strict
    this.tailWord = offsetOf(names.tail, index) >> 2
    this.headWord = offsetOf(names.head, index) >> 2
  }

  /** The host has set the queue's ENABLE bit. */
  enable(): void {
    this.enabled = true
    this.head = this.registers.words[this.headWord]
    this.tail = this.head
    this.invalidate()
    this.check()
  }

  disable(): void {
    this.enabled = false
    this.entries = 0
    this.invalidate()
  }

  reset(): void {
    this.head = 0
    this.disable()
    this.sums.fill(0)
  }

  /** Forgets every view of host memory; they are looked up again when next needed. */
  invalidate(): void {
    this.words = NO_WORDS
    this.entries = 0
    this.tail = this.head
    this.buffer = NO_BYTES
    this.bufferEnd = 0
  }

  /** What the datasheet asks of a ring when it is enabled. */
  private check(): void {
    const { registers, strict, index, names } = this
    const { section } = names.length
    const bytes = registers.get(names.length, index)
    if (bytes === 0) strict.report(section, `${names.kind} queue enabled with a ring of length 0`)
    if (bytes / DESCRIPTOR_BYTES > MAX_ENTRIES)
      strict.report(section, `${names.kind} ring longer than ${MAX_ENTRIES} descriptors`)
    if (this.head !== 0)
      strict.report(names.head.section, `${names.kind} queue enabled with a head other than 0`)
    if (this.base() === 0)
      strict.report(names.baseLow.section, `${names.kind} queue enabled before its base address was set`)
  }

  private base(): number {
    const { names } = this
    return this.raw(names.baseLow) + this.raw(names.baseHigh) * 2 ** 32
  }

  /**
   * A register that may stand in a page that the host writes to by itself: it holds whatever the host likes, also in bits
   * that are reserved, and the next read may give something else.
   */
  private raw(register: Register): number {
    return (this.registers.get(register, this.index) & ~register.reserved) >>> 0
  }

  /** Finds the ring's memory. Returns false if there is none. */
  protected resolve(): boolean {
    const bytes = this.raw(this.names.length)
    const base = this.base()
    if (bytes === 0 || bytes % RING_UNIT !== 0 || this.head >= bytes / DESCRIPTOR_BYTES) return false
    const region = this.dma.access(base, bytes, true, `${this.names.kind} descriptor ring`)
    if (region === null) return false
    this.words = region.bytes.u32
    this.first = (base - region.iova + region.origin) >> 2
    this.entries = bytes / DESCRIPTOR_BYTES
    return true
  }

  /** Takes over the tail. Returns how many descriptors the device may use. */
  refresh(): number {
    if (!this.enabled || (this.entries === 0 && !this.resolve())) return 0
    const { entries, head } = this
    const tail = Atomics.load(this.registers.words, this.tailWord)
    if (tail !== this.tail) {
      if (tail >= entries) {
        this.strict.report(this.names.tail.section, `${this.names.tail.name} beyond the end of the ring`)
        return 0
      }
      this.advance(tail)
    }
    const available = this.tail - head
    return available < 0 ? available + entries : available
  }

  /** The tail may come up to one behind the head: equal means empty (82599 §7.1.9). */
  private advance(tail: number): void {
    const { entries } = this
    const before = this.tail - this.head
    const step = tail - this.tail
    const total = (before < 0 ? before + entries : before) + (step < 0 ? step + entries : step)
    if (total >= entries)
      this.strict.report(
        this.names.kind === 'receive' ? '7.1.9' : '7.2.3.3',
        `${this.names.tail.name} caught up with ${this.names.head.name}: one descriptor must stay the host's`,
      )
    this.tail = tail
  }

  /** Shows the head to the host. */
  publishHead(): void {
    this.registers.words[this.headWord] = this.head
  }

  /** Makes the stretch of memory around a buffer current. Returns false if the device may not touch it. */
  seek(iova: number, bytes: number, write: boolean): boolean {
    const region = this.dma.access(iova, bytes, write, `${this.names.kind} buffer`)
    if (region === null) return false
    this.use(region)
    return true
  }

  protected use(region: Region): void {
    this.buffer = region.bytes
    this.bufferFirst = region.origin
    this.bufferEnd = region.origin + region.size
    this.bufferBase = region.iova - region.origin
  }
}

/**
 * Base, length and head may not be written while their queue is enabled; the head is shown when asked for. The control
 * register switches a queue on and off; `controlled` is called with the queue after each write to it.
 */
export function hookRings<Q extends Ring>(
  names: RingRegisters,
  queues: readonly Q[],
  registers: CardRegisters,
  strict: Strict,
  controlled: (queue: Q) => void,
): void {
  for (const register of [names.baseLow, names.baseHigh, names.length, names.head]) {
    registers.onWrite(register, (value, index) => {
      if (queues[index].enabled)
        strict.report(register.section, `${register.name} written while its queue is enabled`)
      registers.set(register, value, index)
      if (register === names.head) queues[index].head = value
      queues[index].invalidate()
    })
  }
  const { ENABLE, SWFLSH } = names.control.fields
  registers.onWrite(names.control, (value, index) => {
    const queue = queues[index]
    registers.set(names.control, value & ~SWFLSH.mask, index)
    const enable = (value & ENABLE.mask) !== 0
    if (enable && !queue.enabled) queue.enable()
    else if (!enable && queue.enabled) queue.disable()
    controlled(queue)
  })
  registers.onRead(names.head, (index) => {
    queues[index].publishHead()
    return registers.get(names.head, index)
  })
}
