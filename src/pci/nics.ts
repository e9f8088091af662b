/** The network cards of this machine, and whether they can be used. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { asIxyError, IxyError } from '../errors.ts'
import { findHugepageMounts } from '../linux/hugepages.ts'
import { readNumber } from '../linux/sysfs.ts'
import {
  barBytes,
  groupNeighbours,
  iommuMode,
  listFunctions,
  type PciFunction,
  readFunction,
  requireUnused,
  type Roots,
  vfioPciLoaded,
} from './function.ts'
import { ETHERNET_CLASS, type KnownDevices } from './ids.ts'
import { requireUnlocked } from './lock.ts'
import { requirePassThrough } from './sysfs.ts'
import { requireIommu, requireVfioPci, sharedGroup } from './vfio-checks.ts'

export interface NicInfo {
  readonly address: string
  readonly vendorId: number
  readonly deviceId: number
  readonly model: string
  readonly family: string
  /** The kernel driver bound to it, null if there is none. */
  readonly driver: string | null
  readonly interfaces: readonly string[]
  /** As the kernel sees it: Mbit/s, 0 while the link is down, null if the kernel doesn't know. */
  readonly linkMbit: number | null
  readonly numaNode: number
  readonly iommuGroup: string | null
  /** The way openTransport would take. */
  readonly access: 'sysfs' | 'vfio'
  /** Why the card can't be used now, with what to do about it; null if it can. */
  readonly obstacle: IxyError | null
}

/** Every Ethernet controller, sorted by address. Touches none of them. */
export function listNics(known: KnownDevices, roots: Roots = {}): NicInfo[] {
  const nics: NicInfo[] = []
  for (const address of listFunctions(roots.sysfsRoot)) {
    let fn: PciFunction
    try {
      fn = readFunction(address, roots.sysfsRoot)
    } catch {
      // Unplugged since it was listed.
      continue
    }
    if (fn.classCode === ETHERNET_CLASS) nics.push(describe(fn, known, roots))
  }
  return nics
}

function describe(fn: PciFunction, known: KnownDevices, roots: Roots): NicInfo {
  const { address, vendorId, deviceId, driver, interfaces, numaNode, iommuGroup } = fn
  return {
    address,
    vendorId,
    deviceId,
    ...known.identify(fn),
    driver,
    interfaces,
    linkMbit: linkMbit(fn, roots),
    numaNode,
    iommuGroup,
    access: chooseAccess(fn, roots.sysfsRoot),
    obstacle: findObstacle(fn, known, roots),
  }
}

function linkMbit({ interfaces }: PciFunction, { sysfsRoot = '/sys' }: Roots): number | null {
  for (const name of interfaces) {
    const directory = join(sysfsRoot, 'class/net', name)
    // The kernel answers only while the interface is up.
    const carrier = readNumber(join(directory, 'carrier'))
    if (carrier === null) continue
    if (carrier === 0) return 0
    const speed = readNumber(join(directory, 'speed')) ?? -1
    return speed > 0 ? speed : null
  }
  return null
}

/**
 * VFIO if the function is bound to vfio-pci or can be: there is an IOMMU and the driver, and no neighbour in the group
 * stands in the way. Else sysfs, unless the IOMMU rules that out: then VFIO, whose error says what is missing.
 */
export function chooseAccess(fn: PciFunction, sysfsRoot?: string): 'sysfs' | 'vfio' {
  if (fn.driver === 'vfio-pci' || iommuMode(fn) === 'translated') return 'vfio'
  const possible = fn.iommuGroup !== null && vfioPciLoaded(sysfsRoot) && groupNeighbours(fn).length === 0
  return possible ? 'vfio' : 'sysfs'
}

function findObstacle(fn: PciFunction, known: KnownDevices, roots: Roots): IxyError | null {
  try {
    known.requireSupported(fn.address, fn, false)
    requireUnused(fn, false, roots)
    requireUnlocked(fn.address, roots.lockDirectory)
    if (chooseAccess(fn, roots.sysfsRoot) === 'vfio') requireVfioRights(fn, roots)
    else requireSysfsRights(fn)
    return null
  } catch (error) {
    return asIxyError(error)
  }
}

function requireSysfsRights(fn: PciFunction): void {
  requirePassThrough(fn)
  // Which BAR has the registers is up to the function.
  const bar = [0, 1, 2, 3, 4, 5].find((index) => barBytes(fn, index) > 0) ?? 0
  requireAccess(join(fn.path, `resource${bar}`), 'run as root, or bind it to vfio-pci (docs/setup.md)')
  if (findHugepageMounts().length === 0)
    throw new IxyError('IXY_ERR_NO_HUGEPAGES', 'no hugetlbfs is mounted', 'run: sudo ./setup-hugetlbfs.sh')
}

function requireVfioRights(fn: PciFunction, { sysfsRoot, vfioDirectory = '/dev/vfio' }: Roots): void {
  requireIommu(fn)
  requireVfioPci(sysfsRoot)
  if (groupNeighbours(fn).length > 0) throw sharedGroup(fn)
  if (fn.driver === 'vfio-pci') {
    const group = join(vfioDirectory, fn.iommuGroup ?? '')
    requireAccess(group, `run: sudo chown $USER ${group}`)
  } else requireAccess(join(fn.path, 'driver_override'), 'run as root, or have root bind it to vfio-pci')
}

function requireAccess(path: string, fix: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch (cause) {
    throw new IxyError('IXY_ERR_PERMISSION', `${path} can't be opened`, fix, { cause })
  }
}
