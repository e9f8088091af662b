/** What a PCI function says of itself, and who knows what it is. */
import { IxyError } from '../errors.ts'
import type { ConfigSpace } from './transport.ts'

export interface PciIds {
  readonly vendorId: number
  readonly deviceId: number
  /** Class and subclass: 0x0200 is Ethernet. */
  readonly classCode: number
}

/** Class code of Ethernet controllers: network controller (02), Ethernet (00). */
export const ETHERNET_CLASS = 0x0200

/** A device by the name that its maker gives it. */
export interface Model {
  /** `Intel 82599ES 10GbE SFP+`; `device 1af4:1041` if nobody knows it. */
  readonly model: string
  /** Which cards it belongs to: `82599`, `X540`…; `unknown` if nobody knows it. */
  readonly family: string
}

/** Knows which functions can be used: the list of drivers. This folder stands below the drivers, so it is told. */
export interface KnownDevices {
  /** Never throws. */
  identify(ids: PciIds): Model
  /** Throws IXY_ERR_DEVICE_UNSUPPORTED unless there is a driver; with `force` also one that has never seen such a device. */
  requireSupported(name: string, ids: PciIds, force: boolean): void
}

/** Throws IXY_ERR_DEVICE_GONE if nobody answers. `name`: of the device, for that error. */
export function readIds(config: ConfigSpace, name: string): PciIds {
  const vendorId = config.read16(0)
  if (vendorId === 0xffff)
    throw new IxyError(
      'IXY_ERR_DEVICE_GONE',
      `${name} doesn't answer`,
      'check that it is plugged in and powered',
    )
  return { vendorId, deviceId: config.read16(2), classCode: config.read16(10) }
}

/** `8086:10fb` */
export function formatIds({ vendorId, deviceId }: Pick<PciIds, 'vendorId' | 'deviceId'>): string {
  return `${hex(vendorId)}:${hex(deviceId)}`
}

export function hex(id: number): string {
  return id.toString(16).padStart(4, '0')
}
