/** A PCI function as sysfs describes it. */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { hasDefaultRoute, interfaceUse } from '../linux/interfaces.ts'
import type { PciIds } from './ids.ts'
import { listNames, readLinkName, readNumber, readText } from '../linux/sysfs.ts'

/** Where the system describes itself; other places in tests. */
export interface Roots {
  /** /sys */
  readonly sysfsRoot?: string
  /** /proc/net */
  readonly procNet?: string
  /** The runtime directory, for locks. */
  readonly lockDirectory?: string
  /** /dev/vfio */
  readonly vfioDirectory?: string
}

export interface PciFunction extends PciIds {
  readonly address: string
  /** Its directory in sysfs. */
  readonly path: string
  /** The kernel driver bound to it, null if there is none. */
  readonly driver: string | null
  /** Its network interfaces in the kernel, also those of a driver on top of its driver (virtio). */
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
    interfaces: interfacesBelow(path, join(sysfsRoot, 'class/net')),
    numaNode: readNumber(join(path, 'numa_node')) ?? -1,
    iommuGroup: readLinkName(join(path, 'iommu_group')),
  }
}

function interfacesBelow(path: string, classDirectory: string): string[] {
  const directory = realpathSync(path)
  return listNames(classDirectory).filter((name) => {
    try {
      return realpathSync(join(classDirectory, name)).startsWith(`${directory}/`)
    } catch {
      // It has just gone.
      return false
    }
  })
}

/** Addresses of all PCI functions, sorted. */
export function listFunctions(sysfsRoot = '/sys'): string[] {
  return listNames(join(sysfsRoot, 'bus/pci/devices'))
}

/** Why the kernel needs the function: `eth0 is up`. Null if it doesn't. */
export function kernelUse(fn: PciFunction, roots: Roots = {}): string | null {
  for (const name of fn.interfaces) {
    const use = interfaceUse(name, join(roots.sysfsRoot ?? '/sys', 'class/net', name), roots.procNet)
    if (use !== null) return `${name} ${use}`
  }
  return null
}

/** Throws IXY_ERR_DEVICE_IN_USE if the kernel needs the function and `force` isn't set. */
export function requireUnused(fn: PciFunction, force: boolean, roots: Roots = {}): void {
  const use = force ? null : kernelUse(fn, roots)
  if (use === null) return
  const name = use.split(' ')[0]
  const commands = [`sudo ip addr flush dev ${name}`, `sudo ip link set ${name} down`]
  throw new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `the kernel uses ${fn.address}: its interface ${use}`,
    `take it down (${commands.join('; ')}) or use --force`,
    // Nobody is to paste what cuts the machine off.
    { commands: hasDefaultRoute(name, roots.procNet) ? [] : commands },
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

/** True if the vfio-pci driver is loaded. */
export function vfioPciLoaded(sysfsRoot = '/sys'): boolean {
  return existsSync(join(sysfsRoot, 'bus/pci/drivers/vfio-pci'))
}
