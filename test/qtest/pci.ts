/** PCI of a machine without firmware: configuration space by ports, bridges and BARs placed by us. */
import { ByWidth } from '../../src/pci/by-width.ts'
import {
  BAR0,
  BAR_IS_IO,
  COMMAND,
  COMMAND_BUS_MASTER,
  COMMAND_IO,
  COMMAND_MEMORY,
} from '../../src/pci/config-space.ts'
import type { ConfigSpace } from '../../src/pci/transport.ts'
import type { QtestClient } from './client.ts'

/** Configuration mechanism #1 (PCI 3.0 §3.2.2.3.2). */
const CONFIG_ADDRESS = 0xcf8
const CONFIG_DATA = 0xcfc
const CONFIG_ENABLE = 0x8000_0000

/** Where BARs may lie: above the RAM, below the chipset's own registers. */
const FIRST_MEMORY = 0xc000_0000
const FIRST_PORT = 0xc000

/** BAR bits (PCI 3.0 §6.2.5.1). */
const BAR_TYPE = 0x6
const BAR_IS_64_BIT = 0x4

/** Header type 1, bridges (PCI-to-PCI Bridge 1.2 §3.2). Windows of memory come in MiB. */
const BUS_NUMBERS = 0x18
const MEMORY_WINDOW = 0x20
const WINDOW = 0x10_0000

export class PortConfigSpace extends ByWidth implements ConfigSpace {
  private readonly client: QtestClient
  private readonly selector: number

  constructor(client: QtestClient, bus: number, device: number) {
    super()
    this.client = client
    this.selector = CONFIG_ENABLE + (bus << 16) + (device << 11)
  }

  protected read(offset: number, bytes: number): number {
    this.client.out(CONFIG_ADDRESS, 4, this.selector + (offset & 0xfc))
    return this.client.in(CONFIG_DATA + (offset & 3), bytes)
  }

  protected write(offset: number, bytes: number, value: number): void {
    this.client.out(CONFIG_ADDRESS, 4, this.selector + (offset & 0xfc))
    this.client.out(CONFIG_DATA + (offset & 3), bytes, value)
  }
}

/** A BAR and where it was placed. */
export interface PlacedBar {
  readonly index: number
  readonly space: 'memory' | 'io'
  readonly address: number
  readonly bytes: number
}

/** Hands out addresses. One per machine. */
export class AddressMap {
  private nextMemory = FIRST_MEMORY
  private nextPort = FIRST_PORT
  private nextBus = 1

  /** Sizes the BARs of a function, gives each a place, and lets the function answer there. */
  placeBars(config: ConfigSpace): PlacedBar[] {
    const placed: PlacedBar[] = []
    for (let index = 0; index < 6; index++) {
      const at = BAR0 + 4 * index
      config.write32(at, 0xffff_ffff)
      const mask = config.read32(at)
      if (mask === 0) continue
      if ((mask & BAR_IS_IO) !== 0) {
        // The upper half may be hard-wired to 0.
        const bytes = 0x1_0000 - (mask & 0xfffc)
        placed.push({ index, space: 'io', address: this.takePorts(bytes), bytes })
      } else {
        const bytes = -(mask & ~0xf) >>> 0
        placed.push({ index, space: 'memory', address: this.takeMemory(bytes), bytes })
      }
      config.write32(at, placed[placed.length - 1].address)
      if ((mask & (BAR_IS_IO | BAR_TYPE)) !== BAR_IS_64_BIT) continue
      index += 1
      config.write32(at + 4, 0)
    }
    config.write16(COMMAND, COMMAND_IO | COMMAND_MEMORY)
    return placed
  }

  /** Numbers the bus behind a root port, lets `place` fill it, and opens a window for the memory that was placed there. */
  behindPort<T>(port: ConfigSpace, place: (bus: number) => T): T {
    const bus = this.nextBus++
    port.write32(BUS_NUMBERS, (bus << 16) | (bus << 8))
    this.nextMemory = Math.ceil(this.nextMemory / WINDOW) * WINDOW
    const first = this.nextMemory
    const result = place(bus)
    this.nextMemory = Math.ceil(this.nextMemory / WINDOW) * WINDOW
    // Base and limit: bits 31:20 of the first and of the last address.
    port.write16(MEMORY_WINDOW, first >>> 16)
    port.write16(MEMORY_WINDOW + 2, (this.nextMemory - WINDOW) >>> 16)
    port.write16(COMMAND, COMMAND_MEMORY | COMMAND_BUS_MASTER)
    return result
  }

  private takeMemory(bytes: number): number {
    const address = Math.ceil(this.nextMemory / bytes) * bytes
    this.nextMemory = address + Math.max(bytes, 4096)
    return address
  }

  private takePorts(bytes: number): number {
    const address = Math.ceil(this.nextPort / bytes) * bytes
    this.nextPort = address + bytes
    return address
  }
}
