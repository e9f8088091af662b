/**
 * MSI-X of a machine without interrupt controller: a message is a write to memory, so each vector's goes to a word of the
 * machine's RAM, where pump() finds it and signals an eventfd.
 */
import { close, createEventFd, signalEventFd } from '../../src/linux/file.ts'
import { listCapabilities } from '../../src/pci/config-space.ts'
import type { ConfigSpace, RegisterWindow } from '../../src/pci/transport.ts'

/** MSI-X capability (PCI 3.0 §6.8.2): control, place of the table; an entry is address, upper address, data, mask. */
const MSIX = 0x11
const ENABLE = 0x8000
const ENTRY_BYTES = 16

export class MessageInterrupts {
  readonly eventFds: readonly number[]
  private readonly words: Uint32Array

  /** `words`: one per vector, at `address` of the machine. */
  constructor(
    config: ConfigSpace,
    bar: (index: number) => RegisterWindow,
    words: Uint32Array,
    address: number,
  ) {
    const found = listCapabilities(config, 'the function').find(({ id }) => id === MSIX)
    if (found === undefined) throw new Error('the function has no MSI-X')
    const place = config.read32(found.offset + 4)
    const table = bar(place & 7)
    this.words = words
    this.eventFds = Array.from(words, (_, vector) => {
      const entry = (place & ~7) + vector * ENTRY_BYTES
      table.write32(entry, address + vector * 4)
      table.write32(entry + 4, 0)
      table.write32(entry + 8, vector + 1)
      table.write32(entry + 12, 0)
      return createEventFd()
    })
    config.write16(found.offset + 2, config.read16(found.offset + 2) | ENABLE)
  }

  pump(): void {
    this.words.forEach((value, vector) => {
      if (value === 0) return
      this.words[vector] = 0
      signalEventFd(this.eventFds[vector])
    })
  }

  close(): void {
    this.eventFds.forEach(close)
  }
}
