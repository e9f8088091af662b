/** What a run will ask of the system for a PCI function, before anything is taken: each with the error that the run would end with. */
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { effectiveCapabilities } from '../linux/capabilities.ts'
import {
  findHugepageMounts,
  type HugepageMount,
  requireHugepages,
  sharedSizes,
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
  readonly name: 'model' | 'use' | 'iommu' | 'vfio-pci' | 'rights' | 'memlock' | 'huge-pages'
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

/** In the order in which a run meets them. `bytes` of DMA memory that it takes; 0 if nobody knows yet. */
export function requirementsOf(
  fn: PciFunction,
  access: Access,
  {
    known,
    force,
    bytes,
    rights,
    roots = {},
  }: {
    readonly known: KnownDevices
    readonly force: boolean
    readonly bytes: number
    readonly rights: Rights
    readonly roots?: Roots
  },
): readonly Requirement[] {
  const model = { name: 'model', check: () => known.requireSupported(fn.address, fn, force) } as const
  const use = {
    name: 'use',
    check: () => {
      if (access === 'sysfs') requireNotVfio(fn)
      // What is bound to vfio-pci has no interface.
      if (fn.driver !== 'vfio-pci') requireUnused(fn, force, roots)
      requireUnlocked(fn.address, roots.lockDirectory)
      const { vfioDirectory = '/dev/vfio' } = roots
      if (fn.driver === 'vfio-pci' && fn.iommuGroup !== null)
        if (isOpenElsewhere(join(vfioDirectory, fn.iommuGroup))) throw groupInUse(fn)
    },
  } as const
  const own = access === 'vfio' ? ofVfio(fn, bytes, rights, roots) : ofSysfs(fn, bytes, rights, roots)
  return [model, use, ...own]
}

function ofVfio(fn: PciFunction, bytes: number, rights: Rights, roots: Roots): readonly Requirement[] {
  const { sysfsRoot, vfioDirectory = '/dev/vfio' } = roots
  return [
    {
      name: 'iommu',
      check() {
        requireIommu(fn)
        if (groupNeighbours(fn).length > 0) throw sharedGroup(fn)
      },
    },
    {
      name: 'vfio-pci',
      check() {
        if (fn.driver !== 'vfio-pci') requireVfioPci(sysfsRoot)
        const container = join(vfioDirectory, 'vfio')
        if (!existsSync(container)) throw noContainer(container, undefined)
      },
    },
    {
      name: 'rights',
      check() {
        const container = join(vfioDirectory, 'vfio')
        if (fn.driver !== 'vfio-pci')
          requireAccess(join(fn.path, 'driver_override'), (path, cause) =>
            unbindable(fn, vfioDirectory, path, cause),
          )
        else if (fn.iommuGroup !== null)
          requireAccess(join(vfioDirectory, fn.iommuGroup), (path, cause) => closedGroup(fn, path, cause))
        requireAccess(container, closedContainer)
      },
    },
    {
      name: 'memlock',
      check() {
        const { rounded: needed } = sharedSizes(bytes, sysfsRoot)[0] ?? { rounded: bytes }
        if (!rights.capabilities.includes('ipc_lock') && rights.lockedMemory < needed)
          throw tooLittleLocked(needed, rights.lockedMemory)
      },
    },
  ]
}

function ofSysfs(fn: PciFunction, bytes: number, rights: Rights, roots: Roots): readonly Requirement[] {
  return [
    { name: 'iommu', check: () => requirePassThrough(fn) },
    {
      name: 'rights',
      check() {
        requireOpenKernel(fn, roots.sysfsRoot)
        // Which BAR has the registers is up to the function.
        const bar = [0, 1, 2, 3, 4, 5].find((index) => barBytes(fn, index) > 0) ?? 0
        requireAccess(join(fn.path, `resource${bar}`), rootOnly)
        if (!rights.capabilities.includes('sys_admin')) throw hiddenAddresses()
      },
    },
    { name: 'huge-pages', check: () => requireHugepages(bytes, rights.hugepageMounts, roots.sysfsRoot) },
  ]
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
