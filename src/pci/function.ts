/** A PCI function as sysfs describes it. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { interfaceUse } from '../linux/interfaces.ts'
import { listNames, readLinkName, readNumber, readText } from '../linux/sysfs.ts'

export interface PciFunction {
  readonly address: string
  /** Its directory in sysfs. */
  readonly path: string
  readonly vendorId: number
  readonly deviceId: number
  /** Class and subclass: 0x0200 is Ethernet. */
  readonly classCode: number
  /** The kernel driver bound to it, null if there is none. */
  readonly driver: string | null
  /** Network interfaces of that driver. */
  readonly interfaces: readonly string[]
  /** -1 if the system doesn't tell. */
  readonly numaNode: number
  /** Number of its IOMMU group, null without IOMMU. */
  readonly iommuGroup: string | null
}

/** Reads the function's description. Throws IXY_ERR_DEVICE_NOT_FOUND. */
export function readFunction(address: string, sysfsRoot = '/sys'): PciFunction {
  const path = join(sysfsRoot, 'bus/pci/devices', address)
  const vendorId = readNumber(join(path, 'vendor'))
  const deviceId = readNumber(join(path, 'device'))
  const classCode = readNumber(join(path, 'class'))
  if (vendorId === null || deviceId === null || classCode === null)
    throw new IxyError(
      'IXY_ERR_DEVICE_NOT_FOUND',
      `there is no PCI device ${address}`,
      'ixy-ts devices lists the network cards',
    )
  return {
    address,
    path,
    vendorId,
    deviceId,
    classCode: classCode >>> 8,
    driver: readLinkName(join(path, 'driver')),
    interfaces: listNames(join(path, 'net')),
    numaNode: readNumber(join(path, 'numa_node')) ?? -1,
    iommuGroup: readLinkName(join(path, 'iommu_group')),
  }
}

/** Addresses of all PCI functions, sorted. */
export function listFunctions(sysfsRoot = '/sys'): string[] {
  return listNames(join(sysfsRoot, 'bus/pci/devices'))
}

/** Why the kernel needs the function: `eth0 is up`. Null if it doesn't. */
export function kernelUse(fn: PciFunction, procNet?: string): string | null {
  for (const name of fn.interfaces) {
    const use = interfaceUse(name, join(fn.path, 'net', name), procNet)
    if (use !== null) return `${name} ${use}`
  }
  return null
}

/** Throws IXY_ERR_DEVICE_IN_USE if the kernel needs the function and `force` isn't set. */
export function requireUnused(fn: PciFunction, force: boolean, procNet?: string): void {
  const use = force ? null : kernelUse(fn, procNet)
  if (use === null) return
  const name = use.split(' ')[0]
  throw new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `the kernel uses ${fn.address}: its interface ${use}`,
    `take it down (sudo ip addr flush dev ${name}; sudo ip link set ${name} down) or use --force`,
  )
}

/**
 * What the IOMMU does with the function's addresses: 'none' (there is no IOMMU), 'identity' (it passes physical
 * addresses) or 'translated' (physical addresses are blocked).
 */
export function iommuMode(fn: PciFunction): 'none' | 'identity' | 'translated' {
  if (fn.iommuGroup === null) return 'none'
  const type = readText(join(fn.path, 'iommu_group/type')) ?? ''
  return type.startsWith('DMA') ? 'translated' : 'identity'
}

/** Other functions in the same IOMMU group that a driver other than vfio-pci uses, as `0000:03:00.1 (ixgbe)`. */
export function groupNeighbours(fn: PciFunction): string[] {
  const directory = join(fn.path, 'iommu_group/devices')
  return listNames(directory).flatMap((address) => {
    const driver = readLinkName(join(directory, address, 'driver'))
    // Bridges keep their driver (or none) without harm to the group.
    const harmless = driver === null || driver === 'vfio-pci' || driver === 'pcieport'
    return address === fn.address || harmless ? [] : [`${address} (${driver})`]
  })
}

/** Bytes of a BAR; 0 if the function has none of this number. */
export function barBytes(fn: PciFunction, bar: number): number {
  try {
    return statSync(join(fn.path, `resource${bar}`)).size
  } catch {
    return 0
  }
}

/** True if sysfs is there at all: in some containers it isn't. */
export function hasPci(sysfsRoot = '/sys'): boolean {
  try {
    readdirSync(join(sysfsRoot, 'bus/pci/devices'))
    return true
  } catch {
    return false
  }
}
