/** What a run will ask of the system for a PCI function, before anything is taken: each with the error that the run would end with. */
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { effectiveCapabilities } from '../linux/capabilities.ts'
import {
  findHugepageMounts,
  type HugepageMount,
  notLocked,
  requireHugepages,
  sharedBytes,
} from '../linux/hugepage-supply.ts'
import { lockedMemoryLimit } from '../linux/limits.ts'
import { hiddenAddresses } from '../linux/pagemap.ts'
import { isOpenElsewhere } from '../linux/process-state.ts'
import { readText } from '../linux/sysfs.ts'
import {
  barBytes,
  groupNeighbours,
  iommuMode,
  type PciFunction,
  requireUnused,
  type Roots,
  vfioPciLoaded,
} from './function.ts'
import type { KnownDevices } from './ids.ts'
import { requireUnlocked } from './lock.ts'
import { closedFile, requireNotVfio, requirePassThrough } from './sysfs.ts'
import {
  closedContainer,
  closedGroup,
  groupInUse,
  noContainer,
  noGroup,
  requireIommu,
  requireVfioPci,
  sharedGroup,
  tooLittleLocked,
} from './vfio-checks.ts'

export type Access = 'sysfs' | 'vfio'

/** What this process may do, and what the system offers it; other values in tests. */
export interface Rights {
  /** As effectiveCapabilities() has them. */
  readonly capabilities: readonly string[]
  /** Bytes; Infinity if there is no limit. */
  readonly lockedMemory: number
  readonly hugepageMounts: readonly HugepageMount[]
}

export function ownRights(): Rights {
  return {
    capabilities: effectiveCapabilities(),
    lockedMemory: lockedMemoryLimit(),
    hugepageMounts: findHugepageMounts(),
  }
}

/** One thing that has to be as it should. */
export interface Requirement {
  readonly name:
    | 'model'
    | 'use'
    | 'owner'
    | 'iommu'
    | 'vfio-pci'
    | 'rights'
    | 'group'
    | 'huge-pages'
    | 'memlock'
    | 'addresses'
  /** Throws why it isn't; touches nothing. */
  check(): void
}

/**
 * VFIO if the function is bound to vfio-pci or can be: there is an IOMMU and the driver, and no neighbour in the group
 * stands in the way. Else sysfs, unless the IOMMU rules that out: then VFIO, whose error says what is missing.
 */
export function chooseAccess(fn: PciFunction, sysfsRoot?: string): Access {
  if (fn.driver === 'vfio-pci' || iommuMode(fn) === 'translated') return 'vfio'
  const possible = fn.iommuGroup !== null && vfioPciLoaded(sysfsRoot) && groupNeighbours(fn).length === 0
  return possible ? 'vfio' : 'sysfs'
}

export interface Asked {
  readonly known: KnownDevices
  readonly force: boolean
  /** Of DMA memory that the run takes; 0 if nobody knows yet. */
  readonly bytes: number
  readonly rights: Rights
  readonly roots: Roots
}

/** In the order in which a run meets them. */
export function requirementsOf(fn: PciFunction, access: Access, asked: Asked): readonly Requirement[] {
  return access === 'vfio' ? ofVfio(fn, asked) : ofSysfs(fn, asked)
}

function ofVfio(fn: PciFunction, { known, force, bytes, rights, roots }: Asked): readonly Requirement[] {
  const { sysfsRoot, vfioDirectory = '/dev/vfio' } = roots
  const bound = fn.driver === 'vfio-pci'
  const container = join(vfioDirectory, 'vfio')
  const group = join(vfioDirectory, fn.iommuGroup ?? '')
  return [
    { name: 'model', check: () => known.requireSupported(fn.address, fn, force) },
    { name: 'iommu', check: () => requireIommu(fn) },
    {
      name: 'owner',
      check() {
        requireUnlocked(fn.address, roots.lockDirectory)
        if (bound && isOpenElsewhere(group)) throw groupInUse(fn)
      },
    },
    { name: 'use', check: () => (bound ? undefined : requireUnused(fn, force, roots)) },
    {
      name: 'vfio-pci',
      check() {
        if (!bound) requireVfioPci(sysfsRoot)
        if (!existsSync(container)) throw noContainer(container, undefined)
      },
    },
    {
      name: 'rights',
      check() {
        if (!bound)
          requireAccess(join(fn.path, 'driver_override'), (path, cause) =>
            unbindable(fn, vfioDirectory, path, cause),
          )
        if (existsSync(container)) requireAccess(container, closedContainer)
        if (bound && !existsSync(group)) throw noGroup(fn, group)
        if (bound) requireAccess(group, (path, cause) => closedGroup(fn, path, cause))
      },
    },
    {
      name: 'group',
      check() {
        if (groupNeighbours(fn).length > 0) throw sharedGroup(fn)
      },
    },
    {
      name: 'memlock',
      check() {
        const needed = sharedBytes(bytes, sysfsRoot)
        if (!mayLock(needed, rights)) throw tooLittleLocked(needed, rights.lockedMemory)
      },
    },
  ]
}

function ofSysfs(fn: PciFunction, { known, force, bytes, rights, roots }: Asked): readonly Requirement[] {
  return [
    { name: 'model', check: () => known.requireSupported(fn.address, fn, force) },
    {
      name: 'use',
      check() {
        requireNotVfio(fn)
        requireUnused(fn, force, roots)
      },
    },
    { name: 'iommu', check: () => requirePassThrough(fn) },
    { name: 'owner', check: () => requireUnlocked(fn.address, roots.lockDirectory) },
    {
      name: 'rights',
      check() {
        requireOpenKernel(fn, roots.sysfsRoot)
        // Which BAR has the registers is up to the function.
        const bar = [0, 1, 2, 3, 4, 5].find((index) => barBytes(fn, index) > 0) ?? 0
        requireAccess(join(fn.path, `resource${bar}`), rootOnly)
      },
    },
    { name: 'huge-pages', check: () => requireHugepages(bytes, rights.hugepageMounts, roots.sysfsRoot) },
    {
      name: 'memlock',
      check() {
        if (!mayLock(bytes, rights)) throw notLocked(bytes)
      },
    },
    {
      name: 'addresses',
      check() {
        if (!rights.capabilities.includes('sys_admin')) throw hiddenAddresses()
      },
    },
  ]
}

function mayLock(bytes: number, { capabilities, lockedMemory }: Rights): boolean {
  return capabilities.includes('ipc_lock') || bytes <= lockedMemory
}

/** Linux that is locked down lets nobody reach a card behind its back. */
function requireOpenKernel(fn: PciFunction, sysfsRoot = '/sys'): void {
  const lockdown = readText(join(sysfsRoot, 'kernel/security/lockdown')) ?? ''
  if (/\[(?:integrity|confidentiality)\]/.test(lockdown)) throw closedFile(fn, 'config')
}

function rootOnly(path: string, cause: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `${path} can't be opened`,
    'run as root, or bind it to vfio-pci (docs/setup.md)',
    { cause },
  )
}

function unbindable(fn: PciFunction, vfio: string, path: string, cause: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `${path} can't be opened`,
    'run as root, or have root bind it to vfio-pci',
    { cause, commands: bindingCommands(fn, vfio) },
  )
}

/** What root does once per boot, so that somebody else can use the card through VFIO. */
function bindingCommands({ path, address, driver, iommuGroup }: PciFunction, vfio: string): string[] {
  return [
    `echo vfio-pci | sudo tee ${join(path, 'driver_override')}`,
    ...(driver === null ? [] : [`echo ${address} | sudo tee ${join(path, 'driver/unbind')}`]),
    `echo ${address} | sudo tee ${join(path, '../../drivers_probe')}`,
    ...(iommuGroup === null ? [] : [`sudo chown $USER ${join(vfio, iommuGroup)}`]),
  ]
}

function requireAccess(path: string, explain: (path: string, cause: unknown) => IxyError): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch (cause) {
    throw explain(path, cause)
  }
}
