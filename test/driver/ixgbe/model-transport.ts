/** The driver and the virtual 82599 in one thread, without a socket between them. */
import { mmap, munmap, PROT_READ, PROT_WRITE, viewOf } from '../../../src/linux/mapping.ts'
import type { DmaSegment } from '../../../src/memory/arena.ts'
import type { ConfigSpace, Doorbell, RegisterWindow, Transport } from '../../../src/pci/transport.ts'
import { VirtualCard } from '../../../src/vnic/model/virtual-card.ts'
import { BAR0_BYTES } from '../../../src/vnic/model/registers.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import type { Wire } from '../../../src/vnic/wires/wire.ts'

const NUMBER_OF_BYTES = { read8: 1, read16: 2, read32: 4 } as const

function onlyWholeRegisters(): never {
  throw new Error('the registers of this card have 32 bits')
}

export class ModelTransport implements Transport {
  readonly name = 'virtual:test'
  readonly access = 'vfio-user'
  readonly numaNode = -1
  readonly needsPhysicalAddresses = false
  readonly model: VirtualCard
  readonly signals: number[] = []
  /** Writes to registers, in order, as `offset=value` in hexadecimal. */
  readonly writes: string[] = []
  closed = false
  sharesDoorbells = true
  /** For tests of what happens at the end: it has come. */
  stopping = false
  private readonly registers = mmap(BAR0_BYTES)

  /** Where this card sees the host's memory in the memory of all NICs; only if it is to. */
  private readonly places: number[] = []
  private readonly inSpace: boolean

  /** `inSpace`: the host's memory is where the loops of src/vnic/wasm reach it. `clock`: what the card's own follows. */
  constructor(wire: Wire, inSpace = false, clock?: () => number) {
    this.inSpace = inSpace
    this.model = new VirtualCard({
      mac: Uint8Array.of(0x02, 0x11, 0x22, 0x33, 0x44, 0x55),
      wire,
      strict: true,
      // What is looked into never takes those loops.
      inspect: !inSpace,
      interrupts: { signal: (vector) => this.signals.push(vector) },
      bar0: viewOf(this.registers, BAR0_BYTES),
      ...(clock && { clock }),
    })
    // What a transport does when it takes a function: memory space and bus master on.
    this.config.write16(4, 0x0006)
  }

  readonly config: ConfigSpace = {
    read8: (offset) => this.readConfig('read8', offset),
    read16: (offset) => this.readConfig('read16', offset),
    read32: (offset) => this.readConfig('read32', offset),
    write8: (offset, value) => this.writeConfig(offset, [value]),
    write16: (offset, value) => this.writeConfig(offset, [value, value >> 8]),
    write32: (offset, value) => this.writeConfig(offset, [value, value >> 8, value >> 16, value >> 24]),
  }

  readonly bar0: RegisterWindow = {
    bytes: BAR0_BYTES,
    space: 'memory',
    read8: onlyWholeRegisters,
    read16: onlyWholeRegisters,
    write8: onlyWholeRegisters,
    write16: onlyWholeRegisters,
    read32: (offset) => this.model.registers.read(offset) >>> 0,
    write32: (offset, value) => {
      this.writes.push(`${offset.toString(16)}=${value.toString(16)}`)
      this.model.registers.write(offset, value)
    },
  }

  mapDma({ iova, bytes, address, fd, fdOffset }: DmaSegment): void {
    const space = sharedSpace()
    const file = { fd, offset: fdOffset, protection: PROT_READ | PROT_WRITE }
    const at = this.inSpace ? space.map(bytes, file) : null
    if (at !== null) {
      this.places.push(at)
      this.model.dma.addPart(iova, bytes, true, space.bytes, at)
      this.model.invalidate()
      return
    }
    Array.from(
      this.model.dma.add(iova, bytes, true, (offset, size) => viewOf(address + BigInt(offset), size)),
    )
    this.model.invalidate()
  }

  bar(index: number): RegisterWindow {
    if (index !== 0) throw new Error(`no BAR${index}`)
    return this.bar0
  }

  doorbell(_bar: number, offset: number): Doorbell | null {
    if (!this.sharesDoorbells) return null
    const inPage = offset % 4096
    return { kind: 'memory', page: this.registers + BigInt(offset - inPage), offset: inPage }
  }

  enableInterrupts(count: number): readonly number[] {
    return Array.from({ length: count }, (_, vector) => 100 + vector)
  }

  assertAlive(): void {
    if (this.closed) throw new Error('closed')
  }

  close(): void {
    this.closed = true
  }

  /** Unmaps the registers: nothing may touch model or rings any more. */
  release(): void {
    munmap(this.registers, BAR0_BYTES)
    for (const at of this.places) Array.from(sharedSpace().unmap(at))
  }

  private writeConfig(offset: number, bytes: readonly number[]): void {
    this.model.config.write(offset, Uint8Array.from(bytes))
    this.model.update()
  }

  private readConfig(how: keyof typeof NUMBER_OF_BYTES, offset: number): number {
    const bytes = new Uint8Array(NUMBER_OF_BYTES[how])
    this.model.config.read(offset, bytes)
    return bytes.reduce((value, byte, i) => value + byte * 2 ** (8 * i), 0)
  }
}
