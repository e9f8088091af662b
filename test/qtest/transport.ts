/** A PCI function of QEMU's as drivers see it. */
import { ByWidth } from '../../src/pci/by-width.ts'
import { checkAccess } from '../../src/pci/bars.ts'
import { setBusMaster } from '../../src/pci/config-space.ts'
import type { AccessPath, ConfigSpace, Doorbell, RegisterWindow, Transport } from '../../src/pci/transport.ts'
import type { DmaSegment } from '../../src/memory/arena.ts'
import { Doorbells } from './doorbells.ts'
import type { QtestClient } from './client.ts'
import { MessageInterrupts } from './msix.ts'
import type { PlacedBar } from './pci.ts'

class QtestBar extends ByWidth implements RegisterWindow {
  readonly bytes: number
  readonly space: 'memory' | 'io'
  readonly doorbells: Doorbells
  private readonly client: QtestClient
  private readonly address: number

  constructor(client: QtestClient, { space, address, bytes }: PlacedBar) {
    super()
    this.client = client
    this.space = space
    this.address = address
    this.bytes = bytes
    this.doorbells = new Doorbells(space, (offset, width, value) => this.write(offset, width, value))
  }

  protected read(offset: number, width: number): number {
    checkAccess(this.bytes, offset, width)
    const at = this.address + offset
    return this.space === 'io' ? this.client.in(at, width) : this.client.read(at, width)
  }

  protected write(offset: number, width: number, value: number): void {
    checkAccess(this.bytes, offset, width)
    const at = this.address + offset
    if (this.space === 'io') this.client.out(at, width, value)
    else this.client.write(at, width, value)
  }
}

/** What the machine does for its functions. */
export interface Host {
  readonly client: QtestClient
  mapDma(segment: DmaSegment): void
  /** Words of the machine's RAM, and where they are in it. */
  messageWords(count: number): { words: Uint32Array; address: number }
}

export class QtestTransport implements Transport {
  readonly name: string
  /** What it passes for: drivers treat a card without an IOMMU otherwise. */
  readonly access: AccessPath
  readonly numaNode = -1
  readonly needsPhysicalAddresses = false
  readonly config: ConfigSpace
  private readonly host: Host
  private readonly bars: ReadonlyMap<number, QtestBar>
  private interrupts: MessageInterrupts | null = null
  private closed = false

  constructor(
    host: Host,
    name: string,
    access: AccessPath,
    config: ConfigSpace,
    placed: readonly PlacedBar[],
  ) {
    this.host = host
    this.name = name
    this.access = access
    this.config = config
    this.bars = new Map(placed.map((bar) => [bar.index, new QtestBar(host.client, bar)]))
    setBusMaster(config, true)
  }

  bar(index: number): RegisterWindow {
    return this.at(index)
  }

  /** Passes on what the data plane has written to doorbells, and the interrupts that came. Doesn't wait. */
  pump(): void {
    for (const bar of this.bars.values()) bar.doorbells.pump()
    this.interrupts?.pump()
  }

  /** Doorbells rung so far. */
  get rings(): number {
    return [...this.bars.values()].reduce((sum, { doorbells }) => sum + doorbells.rings, 0)
  }

  mapDma(segment: DmaSegment): void {
    this.host.mapDma(segment)
  }

  doorbell(bar: number, offset: number): Doorbell {
    return this.at(bar).doorbells.at(offset)
  }

  enableInterrupts(count: number): readonly number[] {
    const { words, address } = this.host.messageWords(count)
    this.interrupts = new MessageInterrupts(this.config, (index) => this.bar(index), words, address)
    return this.interrupts.eventFds
  }

  assertAlive(): void {
    if (this.closed) throw new Error(`${this.name} is closed`)
  }

  close(): void {
    if (this.closed) return
    this.pump()
    setBusMaster(this.config, false)
    this.host.client.settle()
    this.closed = true
    this.interrupts?.close()
    for (const bar of this.bars.values()) bar.doorbells.close()
  }

  private at(index: number): QtestBar {
    const found = this.bars.get(index)
    if (found === undefined) throw new Error(`${this.name} has no BAR${index}`)
    return found
  }
}
