/** Which kernel driver has a PCI function, and changing that. Every change can be undone. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { readLinkName } from '../linux/sysfs.ts'
import type { PciFunction } from './function.ts'

/** Puts things back as they were. Never throws. */
export type Undo = () => void

/** Takes the function away from its driver, if it has one. `undo` gives it back. Throws IXY_ERR_PERMISSION. */
export function unbindDriver(fn: PciFunction, sysfsRoot = '/sys'): Undo {
  const { driver } = fn
  if (driver === null) return () => undefined
  writeControl(join(fn.path, 'driver/unbind'), fn.address, fn)
  return () => bindTo(fn, driver, sysfsRoot)
}

/**
 * Gives the function to vfio-pci, whatever its ids (driver_override). `undo` gives it back to its former driver.
 * Throws IXY_ERR_PERMISSION, IXY_ERR_NO_VFIO.
 */
export function bindToVfio(fn: PciFunction, sysfsRoot = '/sys'): Undo {
  const override = join(fn.path, 'driver_override')
  writeControl(override, 'vfio-pci', fn)
  const undoOverride = (): void => tryWrite(override, '\n')
  let undoUnbind: Undo
  try {
    undoUnbind = unbindDriver(fn, sysfsRoot)
  } catch (error) {
    undoOverride()
    throw error
  }
  const undo = (): void => {
    if (readLinkName(join(fn.path, 'driver')) === 'vfio-pci')
      tryWrite(join(fn.path, 'driver/unbind'), fn.address)
    undoOverride()
    undoUnbind()
  }
  tryWrite(join(sysfsRoot, 'bus/pci/drivers_probe'), fn.address)
  if (readLinkName(join(fn.path, 'driver')) !== 'vfio-pci') {
    undo()
    throw new IxyError(
      'IXY_ERR_NO_VFIO',
      `vfio-pci didn't take ${fn.address}`,
      'see the kernel log (dmesg), or use --access sysfs',
    )
  }
  return undo
}

function bindTo(fn: PciFunction, driver: string, sysfsRoot: string): void {
  if (readLinkName(join(fn.path, 'driver')) === driver) return
  tryWrite(join(sysfsRoot, 'bus/pci/drivers', driver, 'bind'), fn.address)
}

function writeControl(path: string, text: string, fn: PciFunction): void {
  try {
    writeFileSync(path, text)
  } catch (cause) {
    const driver = fn.driver === null ? 'its driver' : `its driver ${fn.driver}`
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `${fn.address} can't be taken from ${driver}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'run as root, or have root bind it to vfio-pci (docs/setup.md)',
      { cause },
    )
  }
}

/** On the way back nothing can be done about a failure; the device may have been unplugged. */
function tryWrite(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch {
    // See above.
  }
}
