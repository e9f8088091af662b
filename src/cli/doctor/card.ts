/** What stands between a run and a PCI function. */
import { DRIVERS } from '../../driver/registry.ts'
import { DEFAULTS } from '../../engine/settings.ts'
import { arenaBytes, shapeOf } from '../../engine/session-memory.ts'
import { hugepageCounts, sharedBytes, sharedSizes } from '../../linux/hugepage-supply.ts'
import { setUpHugepages } from '../../bundles.ts'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { iommuMode, type PciFunction, readFunction } from '../../pci/function.ts'
import { linkMbit } from '../../pci/nics.ts'
import { type Access, chooseAccess, type Requirement, requirementsOf } from '../../pci/requirements.ts'
import { bootWith } from './boot.ts'
import { fail, type Finding, judge, type Machine, obstacleOf, ok, warn } from './finding.ts'
import { nearCpus } from './tuning.ts'
import { asIxyError } from '../../errors.ts'

export interface CardOptions {
  readonly access: Access | null
  readonly force: boolean
  readonly queues: number
  /** Of the run that is meant, this one among them. */
  readonly devices: number
}

export interface Diagnosis {
  readonly device: string
  /** How a run would reach it; null if there is no such device. */
  readonly access: string | null
  readonly findings: readonly Finding[]
}

export function examineCard(address: string, options: CardOptions, machine: Machine): Diagnosis {
  let fn: PciFunction
  try {
    fn = readFunction(address, machine.roots.sysfsRoot)
    DRIVERS.requireSupported(address, fn, options.force)
  } catch (error) {
    // Nothing else matters then.
    return { device: address, access: null, findings: [fail('model', asIxyError(error))] }
  }
  const { rights, roots } = machine
  const access = options.access ?? chooseAccess(fn, roots.sysfsRoot)
  const bytes = bytesOf(fn, access, options)
  const asked = { known: DRIVERS, force: options.force, bytes, rights, roots }
  const findings = requirementsOf(fn, access, asked).map(({ name, check }) =>
    judge(name, check, () => good(name, { fn, access, bytes, machine })),
  )
  return { device: address, access, findings: [...findings, ...better(fn, access, bytes, machine)] }
}

/** DMA memory of a run on so many cards like this one. */
function bytesOf(fn: PciFunction, access: Access, { queues, force, devices }: CardOptions): number {
  const { driver } = DRIVERS.driverOf(fn.address, fn, force)
  const settings = { ...DEFAULTS, queues }
  const batchSize = DRIVERS.usualBatch([{ kind: 'pci', address: fn.address }], settings.ringSize)
  const shape = shapeOf({ ...settings, batchSize, held: 0, extraPools: 0, offloads: null }, devices)
  const rings = devices * driver.dmaBytes(settings, null)
  return arenaBytes(settings, shape, rings, access === 'sysfs')
}

interface Found {
  readonly fn: PciFunction
  readonly access: Access
  readonly bytes: number
  readonly machine: Machine
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`

/** What there is to say of a requirement that is met. */
function good(name: Requirement['name'], { fn, access, bytes, machine }: Found): Finding {
  const { sysfsRoot } = machine.roots
  switch (name) {
    case 'model': {
      const by = fn.driver === null ? 'no driver has it' : `driver ${fn.driver}`
      return ok(name, `${DRIVERS.identify(fn).model}, ${by}`)
    }
    case 'use':
      return ok(
        name,
        fn.interfaces.length > 0 ? `${fn.interfaces.join(', ')}: down, no address, no route` : 'no interface',
      )
    case 'owner':
      return ok(name, 'no other program has it, as far as this user sees')
    case 'iommu':
      return access === 'vfio'
        ? ok(name, `group ${fn.iommuGroup}: the card reaches the memory of its run only`)
        : unprotected(fn, machine)
    case 'vfio-pci':
      return ok(name, fn.driver === 'vfio-pci' ? 'bound' : 'loaded; a run binds the card, and gives it back')
    case 'rights':
      return ok(
        name,
        access === 'vfio' && fn.driver === 'vfio-pci'
          ? `group ${fn.iommuGroup} may be opened`
          : 'the card may be taken from its driver',
      )
    case 'group':
      return ok(name, 'no other driver in it')
    case 'huge-pages':
      return ok(name, `${mebibytes(bytes)} needed, ${freePages(sysfsRoot)}`)
    case 'memlock': {
      const { capabilities, lockedMemory } = machine.rights
      const limited = !capabilities.includes('ipc_lock') && Number.isFinite(lockedMemory)
      const needed = access === 'vfio' ? sharedBytes(bytes, sysfsRoot) : bytes
      return ok(
        name,
        `${mebibytes(needed)} needed, ${limited ? mebibytes(lockedMemory) : 'any'} may be locked`,
      )
    }
    case 'addresses':
      return ok(name, 'the kernel shows physical addresses')
  }
}

/** By sysfs: what an IOMMU would be good for, and what keeps the card from being behind one. */
function unprotected(fn: PciFunction, { roots: { sysfsRoot = '/sys' }, cpuInfo }: Machine): Finding {
  const risk = 'the card can write to all of the memory, and only root can use it'
  if (fn.iommuGroup !== null)
    return iommuMode(fn) === 'identity'
      ? warn('iommu', `group ${fn.iommuGroup} would do for VFIO, by which a run takes no root; now ${risk}`, [
          'sudo modprobe vfio-pci',
        ])
      : ok('iommu', `group ${fn.iommuGroup}`)
  const tables = path.join(sysfsRoot, 'firmware/acpi/tables')
  const offered = ['DMAR', 'IVRS'].some((table) => existsSync(path.join(tables, table)))
  if (!offered)
    return warn('iommu', `none (VT-d, AMD-Vi: a setting of the firmware, if the machine has one): ${risk}`)
  const word = cpuInfo.includes('GenuineIntel') ? 'intel_iommu=on' : 'iommu=pt'
  return warn(
    'iommu',
    `the machine has one, and Linux doesn't use it: ${risk}; boot with ${word}`,
    bootWith(word),
  )
}

function freePages(sysfsRoot?: string): string {
  const sizes = hugepageCounts(sysfsRoot).filter(({ total }) => total > 0)
  return sizes.length === 0
    ? 'no huge page reserved'
    : sizes
        .map(({ pageBytes, total, free }) => `${free} of ${total} huge pages of ${pageBytes / 1024} KiB free`)
        .join(', ')
}

/** What a run can do without. */
function better(fn: PciFunction, access: Access, bytes: number, { roots, cpus }: Machine): Finding[] {
  const findings: Finding[] = []
  if (access === 'vfio')
    findings.push(
      sharedSizes(bytes, roots.sysfsRoot).length > 0
        ? ok('huge-pages', freePages(roots.sysfsRoot))
        : warn('huge-pages', `too few are free for ${mebibytes(bytes)}: pages of 4 KiB cost the IOMMU time`, [
            setUpHugepages(),
          ]),
    )
  const link = linkMbit(fn, roots)
  if (link === 0) findings.push(warn('link', 'down, says the kernel: cable, transceiver, or the far end'))
  else if (link !== null) findings.push(ok('link', `${link} Mbit/s`))
  findings.push(nearCpus(fn.numaNode, cpus, roots.sysfsRoot))
  return findings
}

export function usable({ findings }: Diagnosis): boolean {
  return obstacleOf(findings) === null
}
