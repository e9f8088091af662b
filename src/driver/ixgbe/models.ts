/** The NICs this driver knows, by PCI id. */
import type { Model, PciIds } from '../../pci/ids.ts'

/**
 * 82599 and X520 are the same controller; X520 is its name on cards. X552 is the X550 inside the Xeon D.
 */
export const FAMILIES = ['82599', 'X520', 'X540', 'X550', 'X552'] as const
type Family = (typeof FAMILIES)[number]

export const INTEL = 0x8086

/**
 * Device ids as in Linux's ixgbe. Not in the list: the 82598 (other rings), virtual functions (other registers), the
 * X553 and E610 (EEPROM and link are reached in other ways, and none was ever tried).
 */
const MODELS: Readonly<Record<number, readonly [Family, string]>> = {
  0x10f7: ['82599', '82599 10GbE KX4'],
  0x10f8: ['82599', '82599 10GbE backplane'],
  0x10f9: ['82599', '82599 10GbE CX4'],
  0x10fb: ['82599', '82599ES 10GbE SFP+'],
  0x10fc: ['82599', '82599 10GbE XAUI'],
  0x1507: ['X520', 'X520-P2 10GbE SFP+'],
  0x1514: ['X520', 'X520 10GbE KX4 mezzanine'],
  0x1517: ['82599', '82599ES 10GbE KR'],
  0x151c: ['82599', '82599 10GBASE-T'],
  0x1528: ['X540', 'X540-AT2 10GBASE-T'],
  0x1529: ['82599', '82599 10GbE SFP+ with FCoE'],
  0x152a: ['82599', '82599 10GbE backplane with FCoE'],
  0x154a: ['X520', 'X520-4 10GbE SFP+'],
  0x154d: ['X520', 'X520 10GbE SFP+'],
  0x154f: ['82599', '82599 10GbE'],
  0x1557: ['82599', '82599EN 10GbE SFP+'],
  0x1558: ['X520', 'X520-Q1 40GbE QSFP+'],
  0x1560: ['X540', 'X540-AT1 10GBASE-T'],
  0x1563: ['X550', 'X550T 10GBASE-T'],
  0x15aa: ['X552', 'X552 10GbE KX4'],
  0x15ab: ['X552', 'X552 10GbE KR'],
  0x15ac: ['X552', 'X552 10GbE SFP+'],
  0x15ad: ['X552', 'X552 10GBASE-T'],
  0x15ae: ['X552', 'X552 1000BASE-T'],
  0x15d1: ['X550', 'X550T1 10GBASE-T'],
}

/** null if the device isn't in the list. */
export function identify({ vendorId, deviceId }: PciIds): Model | null {
  const known = vendorId === INTEL ? MODELS[deviceId] : undefined
  return known === undefined ? null : { family: known[0], model: `Intel ${known[1]}` }
}

/** True for the 82599, whose link the driver starts; X540 and X550 have a PHY that does it alone. */
export function hasSerialLink({ family }: Model): boolean {
  return family === '82599' || family === 'X520'
}
