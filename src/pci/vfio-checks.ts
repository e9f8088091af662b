/** What VFIO needs of the system, and the errors that say so. */
import { IxyError } from '../errors.ts'
import { groupNeighbours, type PciFunction, vfioPciLoaded } from './function.ts'

/** Throws IXY_ERR_NO_VFIO if no IOMMU stands between the function and the memory. */
export function requireIommu(fn: PciFunction): void {
  if (fn.iommuGroup !== null) return
  throw new IxyError(
    'IXY_ERR_NO_VFIO',
    `${fn.address} is behind no IOMMU`,
    'switch it on (firmware: VT-d or AMD-Vi; kernel: intel_iommu=on), or use --access sysfs as root',
  )
}

/** Throws IXY_ERR_NO_VFIO if the driver for it isn't there. */
export function requireVfioPci(sysfsRoot?: string): void {
  if (vfioPciLoaded(sysfsRoot)) return
  throw new IxyError(
    'IXY_ERR_NO_VFIO',
    'the kernel module vfio-pci is not loaded',
    'run: sudo modprobe vfio-pci',
  )
}

/** For a group with devices that other drivers use: the IOMMU can't tell its devices apart. */
export function sharedGroup(fn: PciFunction): IxyError {
  const others = groupNeighbours(fn).join(', ')
  return new IxyError(
    'IXY_ERR_NO_VFIO',
    `IOMMU group ${fn.iommuGroup} of ${fn.address} holds devices with other drivers: ${others}`,
    'bind these to vfio-pci too, or unbind them (docs/setup.md)',
  )
}
