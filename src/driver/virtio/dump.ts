import type { FunctionView, ReadableBar } from '../../pci/transport.ts'
import type { DumpedRegister } from '../driver.ts'
import { type Place, findPlaces, msixEnabled } from './capabilities.ts'
import { LEGACY_BAR } from './legacy.ts'
import {
  COMMON,
  ISR_STATUS,
  LEGACY,
  LEGACY_MSIX,
  NET,
  type RegisterTable,
  Structure,
  type VirtioRegister,
  legacyNetAt,
} from './registers.ts'

/**
 * The registers as they are now; those of queues are of the queue that was selected last, and device_feature is the half that was.
 * What reading would change, or can't be read, is listed without a value.
 */
export function dumpFunction(device: FunctionView): DumpedRegister[] {
  const places = findPlaces(device.config, device.name)
  if (places === null) {
    const msix = msixEnabled(device.config, device.name)
    const { bytes } = device.bar(LEGACY_BAR)
    const at = (offset: number): Place => ({ bar: LEGACY_BAR, offset, bytes: bytes - offset })
    return [
      ...dumpTable(device, at(0), LEGACY),
      ...(msix ? dumpTable(device, at(0), LEGACY_MSIX) : []),
      ...dumpTable(device, at(legacyNetAt(msix)), NET),
    ]
  }
  const { common, isr, net } = places
  return [
    ...dumpTable(device, common, COMMON),
    ...(isr === null ? [] : dumpTable(device, isr, ISR_STATUS)),
    ...dumpTable(device, net, NET),
  ]
}

function dumpTable(
  device: FunctionView,
  { bar, offset, bytes }: Place,
  table: RegisterTable,
): DumpedRegister[] {
  const structure = new Structure<ReadableBar>(device.bar(bar), offset, bytes, device.name)
  return Object.values(table)
    .filter((register) => structure.has(register))
    .map((register) => dumpOne(structure, register, bar))
}

function dumpOne(structure: Structure<ReadableBar>, register: VirtioRegister, bar: number): DumpedRegister {
  const { name, access, flags, section } = register
  const value = access === 'RC' || access === 'WO' ? null : structure.read(register)
  const fields = Object.entries(flags).filter(([, mask]) => ((value ?? 0) & mask) !== 0)
  return {
    name,
    offset: structure.locate(register),
    value,
    fields: Object.fromEntries(fields.map(([flag]) => [flag, 1])),
    description: `${register.description} [BAR${bar}]`,
    section,
  }
}
