/** What the client sees of the device: regions, their sizes, reads and writes by message. */
import {
  Region,
  REGION_COUNT,
  type RegionAccess,
  RegionFlag,
  type RegionInfo,
} from '../../pci/vfio-user/protocol.ts'
import { BAR4_BYTES, CONFIG_BYTES, PBA_OFFSET } from '../model/config-space.ts'
import type { Device } from '../model/device.ts'
import { BAR0_BYTES } from '../model/registers.ts'
import { Errno, Refusal } from './refusal.ts'

/** Pages of BAR0 that a client with shared doorbells writes to: RDT 0–63, TDT 0–63. */
export const DOORBELL_AREAS = [
  { offset: 0x1000, size: 0x1000 },
  { offset: 0x6000, size: 0x1000 },
]
const ACCESS = RegionFlag.READ | RegionFlag.WRITE
/** Largest access by message. */
const MAX_ACCESS = 4096

export class Regions {
  private readonly device: Device
  private readonly scratch = new Uint8Array(8)
  private readonly view = new DataView(this.scratch.buffer)

  constructor(device: Device) {
    this.device = device
  }

  /** `shared`: the client rings by memory. */
  info(index: number, shared: boolean): RegionInfo {
    if (index >= REGION_COUNT) throw new Refusal(Errno.EINVAL, `region ${index}`)
    const size = this.sizeOf(index)
    const base = { index, size, offset: 0, flags: size === 0 ? 0 : ACCESS }
    if (index !== Region.BAR0 || !shared) return base
    return { ...base, flags: ACCESS | RegionFlag.MMAP, areas: DOORBELL_AREAS }
  }

  private sizeOf(index: number): number {
    if (index === Region.BAR0) return BAR0_BYTES
    if (index === Region.BAR4) return BAR4_BYTES
    return index === Region.CONFIG ? CONFIG_BYTES : 0
  }

  private check({ region, offset, count }: RegionAccess): void {
    const size = this.sizeOf(region)
    if (count > MAX_ACCESS || offset + count > size)
      throw new Refusal(Errno.EINVAL, `access of ${count} bytes at ${offset} of region ${region}`)
  }

  read(access: RegionAccess): Uint8Array {
    this.check(access)
    const { region, offset, count } = access
    const data = new Uint8Array(count)
    if (region === Region.CONFIG) this.device.config.read(offset, data)
    else if (region === Region.BAR4) data.set(this.device.bar4.subarray(offset, offset + count))
    else this.readRegisters(offset, data)
    return data
  }

  write(access: RegionAccess): void {
    this.check(access)
    const { region, offset, data } = access
    if (region === Region.CONFIG) {
      this.device.config.write(offset, data)
      this.device.update()
    } else if (region === Region.BAR4) {
      // The pending bits are the device's.
      if (offset < PBA_OFFSET) this.device.bar4.set(data, offset)
    } else this.writeRegisters(offset, data)
  }

  /** Registers have 32 bits; a smaller read takes a part of one, as on the bus. */
  private readRegisters(offset: number, data: Uint8Array): void {
    let at = 0
    while (at < data.length) {
      const inWord = (offset + at) & 3
      const bytes = Math.min(4 - inWord, data.length - at)
      this.view.setUint32(0, this.device.registers.read(offset + at - inWord), true)
      data.set(this.scratch.subarray(inWord, inWord + bytes), at)
      at += bytes
    }
  }

  /** Writes of less than 32 bits are dropped: the card has no byte enables for its registers (82599 §8.1.2). */
  private writeRegisters(offset: number, data: Uint8Array): void {
    if (((offset | data.length) & 3) !== 0)
      return this.device.strict.report('8.1.2', 'register written with less than 32 bits')
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    for (let at = 0; at < data.length; at += 4)
      this.device.registers.write(offset + at, view.getUint32(at, true))
  }
}
