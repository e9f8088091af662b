/** The network cards of this machine, and whether they can be used. */
import { join } from 'node:path'
import { asIxyError, type IxyError } from '../errors.ts'
import { readNumber } from '../linux/sysfs.ts'
import { listFunctions, type PciFunction, readFunction, type Roots } from './function.ts'
import { ETHERNET_CLASS, type KnownDevices } from './ids.ts'
import { type Access, chooseAccess, ownRights, requirementsOf } from './requirements.ts'

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
  readonly access: Access
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
  const access = chooseAccess(fn, roots.sysfsRoot)
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
    access,
    obstacle: findObstacle(fn, access, known, roots),
  }
}

/** What the kernel says of the link: Mbit/s, 0 while it is down, null if it doesn't say. */
export function linkMbit({ interfaces }: PciFunction, { sysfsRoot = '/sys' }: Roots = {}): number | null {
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

function findObstacle(fn: PciFunction, access: Access, known: KnownDevices, roots: Roots): IxyError | null {
  try {
    const requirements = requirementsOf(fn, access, {
      ...{ known, force: false, bytes: 0, roots },
      rights: ownRights(),
    })
    for (const { check } of requirements) check()
    return null
  } catch (error) {
    return asIxyError(error)
  }
}
