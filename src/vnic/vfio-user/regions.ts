/** What the client sees of the device: regions, their sizes, reads and writes by message. */
import { REGION_COUNT, type RegionAccess, RegionFlag, type RegionInfo } from '../../pci/vfio-user/protocol.ts'
import { Errno, Refusal } from './refusal.ts'
import type { ServedDevice, ServedRegion } from './served-device.ts'

const ACCESS = RegionFlag.READ | RegionFlag.WRITE
/** Largest access by message. */
const MAX_ACCESS = 4096

export class Regions {
  private readonly device: ServedDevice

  constructor(device: ServedDevice) {
    this.device = device
  }

  /** `shared`: the client rings by memory. */
  info(index: number, shared: boolean): RegionInfo {
    if (index >= REGION_COUNT) throw new Refusal(Errno.EINVAL, `region ${index}`)
    const { regions, doorbells } = this.device
    const size = regions[index]?.bytes ?? 0
    const base = { index, size, offset: 0, flags: size === 0 ? 0 : ACCESS }
    if (!shared || index !== doorbells?.region) return base
    return { ...base, flags: ACCESS | RegionFlag.MMAP, areas: doorbells.areas }
  }

  private regionOf({ region, offset, count }: RegionAccess): ServedRegion {
    const served = this.device.regions[region]
    if (!served || count > MAX_ACCESS || offset + count > served.bytes)
      throw new Refusal(Errno.EINVAL, `access of ${count} bytes at ${offset} of region ${region}`)
    return served
  }

  read(access: RegionAccess): Uint8Array {
    const data = new Uint8Array(access.count)
    this.regionOf(access).read(access.offset, data)
    return data
  }

  write(access: RegionAccess): void {
    this.regionOf(access).write(access.offset, access.data)
  }
}
