/** Which kernel driver has a PCI function, and changing that. Every change can be undone. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import type { LockFile } from '../linux/lock-file.ts'
import { readLinkName } from '../linux/sysfs.ts'
import type { PciFunction } from './function.ts'

const VFIO = 'vfio-pci'
/** Stands for no driver in a note. */
const NONE = '-'

/** Puts things back as they were. Never throws. */
export type Undo = () => void

/** The part of a device's lock that tells the next ixy-ts which driver a killed one has taken the device from. */
export type DriverNote = Pick<LockFile, 'inherited' | 'note'>

/**
 * Takes the function away from its driver, if it has one. `undo` gives it back, also to the driver that a killed ixy-ts
 * took it from. Throws IXY_ERR_PERMISSION.
 */
export function unbindDriver(fn: PciFunction, note: DriverNote, sysfsRoot = '/sys'): Undo {
  const home = homeDriver(fn, note)
  if (home === null) return () => undefined
  note.note(`${home} ${NONE}`)
  if (fn.driver !== null) writeControl(join(fn.path, 'driver/unbind'), fn.address, fn)
  return () => bindTo(fn, home, sysfsRoot)
}

/**
 * Gives the function to vfio-pci, whatever its ids (driver_override), unless it is there already. `undo` gives it back
 * to its former driver, also to the one that a killed ixy-ts took it from; a function that somebody else had bound to
 * vfio-pci stays there. Throws IXY_ERR_PERMISSION, IXY_ERR_NO_VFIO.
 */
export function bindToVfio(fn: PciFunction, note: DriverNote, sysfsRoot = '/sys'): Undo {
  const home = homeDriver(fn, note)
  if (home === VFIO) return () => undefined
  note.note(`${home ?? NONE} ${VFIO}`)
  const override = join(fn.path, 'driver_override')
  const undo = (): void => {
    if (currentDriver(fn) === VFIO) tryWrite(join(fn.path, 'driver/unbind'), fn.address)
    tryWrite(override, '\n')
    if (home !== null) bindTo(fn, home, sysfsRoot)
  }
  if (fn.driver === VFIO) return undo
  try {
    writeControl(override, VFIO, fn)
    if (fn.driver !== null) writeControl(join(fn.path, 'driver/unbind'), fn.address, fn)
    tryWrite(join(sysfsRoot, 'bus/pci/drivers_probe'), fn.address)
    if (currentDriver(fn) !== VFIO)
      throw new IxyError(
        'IXY_ERR_NO_VFIO',
        `vfio-pci didn't take ${fn.address}`,
        'see the kernel log (dmesg), or use --access sysfs',
      )
    return undo
  } catch (error) {
    undo()
    throw error
  }
}

/**
 * The driver to give the function back to: the one that has it, unless a killed ixy-ts has left it as it is. Then the
 * note, `<home> <left with>`, names it; a function that isn't as the note says has been bound by somebody since.
 */
function homeDriver(fn: PciFunction, { inherited }: DriverNote): string | null {
  const [home = '', left = ''] = inherited.split(' ')
  if (left !== (fn.driver ?? NONE)) return fn.driver
  return home === NONE ? null : home
}

function currentDriver(fn: PciFunction): string | null {
  return readLinkName(join(fn.path, 'driver'))
}

function bindTo(fn: PciFunction, driver: string, sysfsRoot: string): void {
  if (currentDriver(fn) === driver) return
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
