/** What VFIO needs of the system, and the errors that say so. */
import { IxyError } from '../errors.ts'
import { RAISE_MEMLOCK } from '../linux/hugepage-supply.ts'
import { lockedMemoryLimit } from '../linux/limits.ts'
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

const LOAD = 'sudo modprobe vfio-pci'

/** Throws IXY_ERR_NO_VFIO if the driver for it isn't there. */
export function requireVfioPci(sysfsRoot?: string): void {
  if (vfioPciLoaded(sysfsRoot)) return
  throw new IxyError('IXY_ERR_NO_VFIO', 'the kernel module vfio-pci is not loaded', `run: ${LOAD}`, {
    commands: [LOAD],
  })
}

/** For a group with devices that other drivers use: the IOMMU can't tell its devices apart. */
export function sharedGroup(fn: PciFunction): IxyError {
  const others = groupNeighbours(fn)
  return new IxyError(
    'IXY_ERR_NO_VFIO',
    `IOMMU group ${fn.iommuGroup} of ${fn.address} holds devices with other drivers: ${others.join(', ')}`,
    'bind these to vfio-pci too, or unbind them (docs/setup.md)',
  )
}

/** There is no `path`, VFIO's own file. */
export function noContainer(path: string, cause: unknown): IxyError {
  return new IxyError('IXY_ERR_NO_VFIO', `${path} doesn't exist: VFIO is not loaded`, `run: ${LOAD}`, {
    cause,
    commands: [LOAD],
  })
}

/** This user may not open `path`, VFIO's own file. */
export function closedContainer(path: string, cause: unknown): IxyError {
  const command = `sudo chmod 666 ${path}`
  return new IxyError('IXY_ERR_PERMISSION', `${path} can't be opened`, `run: ${command}`, {
    cause,
    commands: [command],
  })
}

/** This user may not open `path`, the group of the function. */
export function closedGroup(fn: PciFunction, path: string, cause: unknown): IxyError {
  const command = `sudo chown $USER ${path}`
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `${path}, the IOMMU group of ${fn.address}, can't be opened`,
    `run: ${command}`,
    { cause, commands: [command] },
  )
}

/** There is no such file as `path`, which the group of the function would have. */
export function noGroup(fn: PciFunction, path: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_NO_VFIO',
    `${path}, the IOMMU group of ${fn.address}, doesn't exist`,
    'bind the device to vfio-pci (docs/setup.md)',
    { cause },
  )
}

/** Another program has the group of the function open. */
export function groupInUse(fn: PciFunction, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `another program uses IOMMU group ${fn.iommuGroup} of ${fn.address}`,
    'end it first',
    { cause },
  )
}

/** VFIO locks all memory that a card may reach, and this user may not lock so much. */
export function tooLittleLocked(bytes: number, limit = lockedMemoryLimit(), cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_MEMLOCK',
    `${bytes / 1024} KiB can't be locked for DMA: this user may lock ${Math.floor(limit / 1024)} KiB`,
    'raise the limit: ulimit -l unlimited, or LimitMEMLOCK=infinity in a systemd unit',
    { cause, commands: RAISE_MEMLOCK },
  )
}
