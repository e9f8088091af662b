/** PCI configuration space (PCI 3.0 §6.2): what its first registers say, and the space in a file, as sysfs and VFIO offer it. */
import { IxyError } from '../errors.ts'
import { close } from '../linux/file.ts'
import { ByWidth, readFileAt, writeFileAt } from './by-width.ts'
import type { ConfigSpace, ReadableConfig } from './transport.ts'

/** Command register (§6.2.2): which accesses the function answers, and whether it may do DMA. */
export const COMMAND = 0x04
export const COMMAND_IO = 0x1
export const COMMAND_MEMORY = 0x2
export const COMMAND_BUS_MASTER = 0x4

/** Status register (§6.2.3): some of its bits are always 0, unless nobody answers. */
const STATUS = 0x06
const STATUS_CAPABILITIES = 0x10

/** The first of six base address registers (§6.2.5.1). */
export const BAR0 = 0x10
export const BAR_IS_IO = 0x1

/** Where the list of capabilities begins (§6.7), and the first byte it may lead to. */
const CAPABILITIES = 0x34
const FIRST_CAPABILITY = 0x40

/** Something a function has beyond the basic registers. What follows its first two bytes depends on `id`. */
export interface Capability {
  /** 0x09: vendor specific, 0x10: PCI Express, 0x11: MSI-X… */
  readonly id: number
  /** Of its first byte in configuration space. */
  readonly offset: number
}

/**
 * The list of capabilities, in the function's order. Throws IXY_ERR_DEVICE_UNSUPPORTED, naming the function `name`, if the list
 * leads in a circle or into the basic registers: then nothing in it can be believed.
 */
export function listCapabilities(config: ReadableConfig, name: string): Capability[] {
  if ((config.read16(STATUS) & STATUS_CAPABILITIES) === 0) return []
  const found = new Map<number, Capability>()
  // The two lowest bits are reserved, and to be masked.
  let offset = config.read8(CAPABILITIES) & ~3
  while (offset !== 0) {
    if (offset < FIRST_CAPABILITY || found.has(offset))
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `${name}: its list of capabilities leads to 0x${offset.toString(16)}, ` +
          (offset < FIRST_CAPABILITY ? 'where none can be' : 'where it has been before'),
        'reset the device, or report it to whoever makes it',
      )
    found.set(offset, { id: config.read8(offset), offset })
    offset = config.read8(offset + 1) & ~3
  }
  return [...found.values()]
}

/** Configuration space that starts at byte `base` of an open file. */
export class FileConfigSpace extends ByWidth implements ConfigSpace {
  private readonly fd: number
  private readonly base: number

  constructor(fd: number, base = 0) {
    super()
    this.fd = fd
    this.base = base
  }

  protected read(offset: number, bytes: number): number {
    return readFileAt(this.fd, this.base + offset, bytes)
  }

  protected write(offset: number, bytes: number, value: number): void {
    writeFileAt(this.fd, this.base + offset, bytes, value)
  }

  close(): void {
    close(this.fd)
  }
}

/** On: the function answers memory accesses and may do DMA. Off: it does no DMA any more, registers stay readable. */
export function setBusMaster(config: ConfigSpace, on: boolean): void {
  const command = config.read16(COMMAND)
  config.write16(COMMAND, on ? command | COMMAND_MEMORY | COMMAND_BUS_MASTER : command & ~COMMAND_BUS_MASTER)
}

/** Throws IXY_ERR_DEVICE_GONE if the function doesn't answer: reads of a device that has gone return all ones. */
export function requireAnswer(config: ConfigSpace, name: string): void {
  let status = 0xffff
  try {
    status = config.read16(STATUS)
  } catch {
    // The files of a removed device can't be read.
  }
  if (status === 0xffff)
    throw new IxyError(
      'IXY_ERR_DEVICE_GONE',
      `${name} is gone`,
      'check card and slot, see the kernel log (dmesg)',
    )
}
