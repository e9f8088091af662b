/** The functions this driver knows, by PCI id (virtio 1.2 §4.1.2). */
import type { Model, PciIds } from '../../pci/ids.ts'

export const RED_HAT = 0x1af4
export const FAMILIES = ['virtio-net'] as const

/** Network card with the registers of before virtio 1.0, and mostly those of 1.0 as well. */
const TRANSITIONAL = 0x1000
/** 0x1040 and the number of the device type, which is 1 for a network card. */
const MODERN = 0x1041

/** null if it is no virtio network card. */
export function identify({ vendorId, deviceId }: PciIds): Model | null {
  if (vendorId !== RED_HAT) return null
  if (deviceId === TRANSITIONAL) return { family: FAMILIES[0], model: 'virtio-net (transitional)' }
  return deviceId === MODERN ? { family: FAMILIES[0], model: 'virtio-net' } : null
}
