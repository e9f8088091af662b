/** The model as it is served to a client: its regions, and the accesses that a card's bus allows. */
import { Region } from '../pci/vfio-user/protocol.ts'
import type { Doorbells, ServedDevice, ServedRegion } from './vfio-user/served-device.ts'
import type { InterruptLines } from './vfio-user/interrupt-lines.ts'
import { BAR4_BYTES, CONFIG_BYTES, PBA_OFFSET } from './model/config-space.ts'
import type { VirtualCard } from './model/virtual-card.ts'
import { BAR0_BYTES } from './model/registers.ts'

export function serve(device: VirtualCard, lines: InterruptLines, doorbells: Doorbells): ServedDevice {
  const regions: (ServedRegion | null)[] = []
  regions[Region.BAR0] = new RegisterRegion(device)
  regions[Region.BAR4] = {
    bytes: BAR4_BYTES,
    read: (offset, target) => target.set(device.bar4.subarray(offset, offset + target.length)),
    write(offset, source) {
      // The pending bits are the device's.
      if (offset < PBA_OFFSET) device.bar4.set(source, offset)
    },
  }
  regions[Region.CONFIG] = {
    bytes: CONFIG_BYTES,
    read: (offset, target) => device.config.read(offset, target),
    write(offset, source) {
      device.config.write(offset, source)
      device.update()
    },
  }
  return {
    regions,
    doorbells,
    lines,
    memory: device.dma,
    invalidate: () => device.invalidate(),
    reset: () => device.reset(),
  }
}

class RegisterRegion implements ServedRegion {
  readonly bytes = BAR0_BYTES
  private readonly device: VirtualCard
  private readonly scratch = new Uint8Array(4)
  private readonly view = new DataView(this.scratch.buffer)

  constructor(device: VirtualCard) {
    this.device = device
  }

  /** Registers have 32 bits; a smaller read takes a part of one, as on the bus. */
  read(offset: number, target: Uint8Array): void {
    let at = 0
    while (at < target.length) {
      const inWord = (offset + at) & 3
      const bytes = Math.min(4 - inWord, target.length - at)
      this.view.setUint32(0, this.device.registers.read(offset + at - inWord), true)
      target.set(this.scratch.subarray(inWord, inWord + bytes), at)
      at += bytes
    }
  }

  /** Writes of less than 32 bits are dropped: the card has no byte enables for its registers (82599 §8.1.2). */
  write(offset: number, source: Uint8Array): void {
    if (((offset | source.length) & 3) !== 0)
      return this.device.strict.report('8.1.2', 'register written with less than 32 bits')
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
    for (let at = 0; at < source.length; at += 4)
      this.device.registers.write(offset + at, view.getUint32(at, true))
  }
}
