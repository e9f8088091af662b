/** The card as drivers see it: a way to its registers and to its doorbells. */
import { constants, fstatSync } from 'node:fs'
import { createMemfd, close, ftruncate, O_RDWR, open, pread } from '../../../../src/linux/file.ts'
import { PAGE_BYTES, mmap, munmap, viewOf } from '../../../../src/linux/mapping.ts'
import type { DmaSegment } from '../../../../src/memory/arena.ts'
import type {
  AccessPath,
  ConfigSpace,
  Doorbell,
  RegisterWindow,
  Transport,
} from '../../../../src/pci/transport.ts'
import { ByWidth } from '../../../../src/pci/by-width.ts'
import { type CardOptions, NetworkCard } from './network-card.ts'
import {
  BAR_BYTES,
  COMMON_AT,
  CardState,
  ISR_AT,
  LegacyBar,
  ModernBar,
  MULTIPLIER,
  NET_AT,
  NOTIFY_AT,
} from './registers.ts'

const NOTHING = 0xffff

class Config extends ByWidth implements ConfigSpace {
  readonly bytes = new DataView(new ArrayBuffer(256))

  protected read(offset: number, width: number): number {
    if (width === 1) return this.bytes.getUint8(offset)
    return width === 2 ? this.bytes.getUint16(offset, true) : this.bytes.getUint32(offset, true)
  }

  protected write(offset: number, width: number, value: number): void {
    if (width === 1) this.bytes.setUint8(offset, value)
    else if (width === 2) this.bytes.setUint16(offset, value, true)
    else this.bytes.setUint32(offset, value, true)
  }

  /** A chain of capabilities, each with what follows its first two bytes. */
  capabilities(list: readonly { id: number; bytes: readonly number[] }[]): void {
    this.write16(0x06, 0x10)
    let link = 0x34
    let at = 0x40
    for (const { id, bytes } of list) {
      this.write8(link, at)
      ;[id, 0, ...bytes].forEach((byte, i) => this.write8(at + i, byte))
      link = at + 1
      at += Math.ceil((bytes.length + 2) / 4) * 4
    }
  }
}

const word = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24]

function structure(
  type: number,
  offset: number,
  bytes: number,
  more: readonly number[] = [],
  bar = 4,
): number[] {
  return [16 + more.length, type, bar, 0, 0, 0, ...word(offset), ...word(bytes), ...more]
}

export interface TransportOptions extends CardOptions {
  readonly legacy: boolean
  readonly access?: AccessPath
}

export class CardTransport implements Transport {
  readonly name = '0000:00:03.0'
  readonly access: AccessPath
  readonly numaNode = -1
  readonly needsPhysicalAddresses = false
  readonly card: NetworkCard
  readonly state: CardState
  readonly config = new Config()
  readonly legacyBar: LegacyBar
  /** Doorbells that the data plane has rung, by queue. */
  readonly rings = new Map<number, number>()
  gone = false
  closed = false
  private readonly modernBar: ModernBar
  private readonly legacy: boolean
  private readonly page = mmap(PAGE_BYTES)
  private readonly cells = new Uint16Array(viewOf(this.page, PAGE_BYTES)).fill(NOTHING)
  private readonly memfd = createMemfd('doorbell', 0)
  /** Writes are appended, wherever they were meant for. */
  private readonly file = open(`/proc/self/fd/${this.memfd}`, O_RDWR | constants.O_APPEND)

  constructor({ legacy, access = 'sysfs', ...options }: TransportOptions) {
    this.access = access
    this.legacy = legacy
    this.card = new NetworkCard(options)
    this.state = new CardState(this.card)
    this.modernBar = new ModernBar(this.state)
    this.legacyBar = new LegacyBar(this.state)
    this.config.write16(0, 0x1af4)
    this.config.write16(2, legacy ? 0x1000 : 0x1041)
    this.config.write16(10, 0x0200)
    const msix = { id: 0x11, bytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }
    this.config.capabilities(
      legacy
        ? [msix]
        : [
            msix,
            // The window of configuration space, and one in a BAR that is none: neither is to be used.
            { id: 0x09, bytes: structure(5, 0, 0, [0, 0, 0, 0], 0) },
            { id: 0x09, bytes: structure(1, 0, 56, [], 7) },
            { id: 0x09, bytes: structure(1, COMMON_AT, 56) },
            { id: 0x09, bytes: structure(3, ISR_AT, 1) },
            { id: 0x09, bytes: structure(4, NET_AT, 20) },
            { id: 0x09, bytes: structure(2, NOTIFY_AT, 0x1000, word(MULTIPLIER)) },
            // A second one of a kind: the first counts.
            { id: 0x09, bytes: structure(1, 0, 56) },
          ],
    )
  }

  bar(index: number): RegisterWindow {
    if (this.legacy && index === 0) return this.legacyBar
    if (!this.legacy && index === 4) return this.modernBar
    throw new Error(`no BAR${index}`)
  }

  mapDma(segment: DmaSegment): void {
    this.card.memory.map(segment)
  }

  doorbell(_bar: number, offset: number): Doorbell {
    if (this.legacy) return { kind: 'file', fd: this.file, offset }
    return { kind: 'memory', page: this.page, offset: offset - NOTIFY_AT }
  }

  /** Passes on what the data plane has rung. */
  pump(): void {
    for (let at = 0; at < BAR_BYTES - NOTIFY_AT && at < PAGE_BYTES; at += MULTIPLIER) {
      const value = this.cells[at >> 1]
      if (value === NOTHING) continue
      this.cells[at >> 1] = NOTHING
      this.ring(NOTIFY_AT + at, value)
    }
    const { size } = fstatSync(this.memfd)
    const written = Buffer.alloc(size)
    if (size > 0) pread(this.memfd, written, 0)
    ftruncate(this.memfd, 0)
    for (let at = 0; at < size; at += 2) this.ring(16, written.readUInt16LE(at))
  }

  private ring(offset: number, queue: number): void {
    this.rings.set(queue, (this.rings.get(queue) ?? 0) + 1)
    this.bar(this.legacy ? 0 : 4).write16(offset, queue)
  }

  enableInterrupts(count: number): readonly number[] {
    return Array.from({ length: count }, (_, vector) => 100 + vector)
  }

  assertAlive(): void {
    if (this.gone) throw new Error('gone')
  }

  close(): void {
    this.closed = true
  }

  release(): void {
    munmap(this.page, PAGE_BYTES)
    close(this.file)
    close(this.memfd)
  }
}
