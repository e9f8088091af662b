/**
 * The way to a card that needs nothing from the kernel but sysfs: registers through `resource0`, physical addresses.
 * Nothing limits the card's DMA, so only root can do this.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { close, O_RDWR, O_SYNC, open } from '../linux/file.ts'
import { isErrno } from '../linux/libc.ts'
import { mmap } from '../linux/mapping.ts'
import { unbindDriver } from './binding.ts'
import { barBytes, iommuMode, type PciFunction, readFunction, requireUnused, type Roots } from './function.ts'
import type { KnownDevices } from './ids.ts'
import { lockDevice } from './lock.ts'
import { type Bar, Bars, MappedBar, PAGE, enableSpace, fileBar } from './bars.ts'
import { FileConfigSpace, requireAnswer, setBusMaster } from './config-space.ts'
import type { Doorbell, RegisterWindow, Transport } from './transport.ts'
import { Undo } from '../undo.ts'

export interface PciOptions extends Roots {
  readonly known: KnownDevices
  /** Takes a NIC that is in use or of an unknown model. */
  readonly force: boolean
  /** Name of the device in output; its address by default. */
  readonly name?: string
}

/**
 * Takes the function from its kernel driver, maps its registers and lets it do DMA. close() gives it back; so does a
 * failure half way, and after a SIGKILL the close() of the next process. Throws IXY_ERR_DEVICE_NOT_FOUND, _UNSUPPORTED,
 * _IN_USE, IXY_ERR_PERMISSION, IXY_ERR_NO_VFIO.
 */
export function openSysfs(address: string, options: PciOptions): Transport {
  const { known, force, sysfsRoot } = options
  const fn = readFunction(address, sysfsRoot)
  known.requireSupported(address, fn, force)
  requireNotVfio(fn)
  requireUnused(fn, force, options)
  requirePassThrough(fn)
  const undo = new Undo()
  try {
    const lock = lockDevice(address, options.lockDirectory)
    // A killed predecessor's device still does DMA until it is off the bus or reset; a kernel driver has reset it.
    let quiet = fn.driver !== null
    undo.push(() => (quiet ? lock.release() : lock.putBack()))
    undo.push(unbindDriver(fn, lock, sysfsRoot))
    powerUp(fn, undo)
    const config = new FileConfigSpace(openFile(fn, 'config', O_RDWR))
    undo.push(() => config.close())
    undo.push(() => {
      setBusMaster(config, false)
      quiet = true
    })
    const name = options.name ?? address
    const bars = new Bars(name, (index) => openBar(fn, config, index, undo))
    undo.push(() => bars.close())
    setBusMaster(config, true)
    return new SysfsTransport(name, fn, config, bars, undo)
  } catch (error) {
    undo.runQuietly()
    throw error
  }
}

/** VFIO would go on thinking that the function is its own. */
export function requireNotVfio(fn: PciFunction): void {
  if (fn.driver === 'vfio-pci')
    throw new IxyError(
      'IXY_ERR_DEVICE_IN_USE',
      `${fn.address} is bound to vfio-pci`,
      'use --access vfio, or bind it to its kernel driver again',
    )
}

/** With an IOMMU that translates, physical addresses lead nowhere. */
export function requirePassThrough(fn: PciFunction): void {
  if (iommuMode(fn) === 'translated')
    throw new IxyError(
      'IXY_ERR_NO_VFIO',
      `the IOMMU keeps ${fn.address} (group ${fn.iommuGroup}) from physical addresses, which sysfs access needs`,
      'use --access vfio, or boot with iommu=pt',
    )
}

/** Asks the kernel to put the function into state D0; it may sleep while no driver has it. */
function powerUp(fn: PciFunction, undo: Undo): void {
  const enable = join(fn.path, 'enable')
  try {
    writeFileSync(enable, '1')
    undo.push(() => writeFileSync(enable, '0'))
  } catch {
    // Without this file it is always on; a sleeping device shows when it is reset.
  }
}

/** Memory can be mapped, I/O ports can be read and written. */
function openBar(fn: PciFunction, config: FileConfigSpace, index: number, undo: Undo): Bar | null {
  const bytes = barBytes(fn, index)
  if (bytes === 0) return null
  const space = enableSpace(config, index)
  const fd = openFile(fn, `resource${index}`, O_RDWR | O_SYNC)
  if (space === 'io') {
    undo.push(() => close(fd))
    return fileBar(fd, 0, bytes, space)
  }
  try {
    requirePages(fn, index, bytes)
    return new MappedBar(mmap(bytes, { fd }), bytes)
  } finally {
    close(fd)
  }
}

/** Of a smaller BAR sysfs maps the page that it is somewhere in. */
export function requirePages(fn: PciFunction, index: number, bytes: number): void {
  if (bytes % PAGE !== 0)
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `BAR${index} of ${fn.address} is smaller than a page (${bytes} bytes)`,
      'use --access vfio',
    )
}

function openFile(fn: PciFunction, name: string, flags: number): number {
  try {
    return open(join(fn.path, name), flags)
  } catch (cause) {
    if (!isErrno(cause, 'EACCES', 'EPERM')) throw cause
    throw closedFile(fn, name, cause)
  }
}

/** This user, or this kernel, does not let a file of the function be written. */
export function closedFile(fn: PciFunction, name: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `${join(fn.path, name)} can't be opened`,
    'run as root, or use VFIO (docs/setup.md); a locked-down kernel (Secure Boot) allows only VFIO',
    { cause },
  )
}

class SysfsTransport implements Transport {
  readonly access = 'sysfs'
  readonly needsPhysicalAddresses = true
  readonly name: string
  readonly numaNode: number
  readonly config: FileConfigSpace
  private readonly bars: Bars
  private readonly undo: Undo

  constructor(name: string, fn: PciFunction, config: FileConfigSpace, bars: Bars, undo: Undo) {
    this.name = name
    this.numaNode = fn.numaNode
    this.config = config
    this.bars = bars
    this.undo = undo
  }

  /** Physical memory is all there for the card. */
  mapDma(): void {}

  bar(index: number): RegisterWindow {
    return this.bars.at(index)
  }

  doorbell(bar: number, offset: number): Doorbell | null {
    return this.bars.at(bar).doorbell(offset)
  }

  enableInterrupts(): readonly number[] {
    throw new IxyError(
      'IXY_ERR_NO_VFIO',
      `${this.name} can't interrupt a user program through sysfs`,
      'use --mode poll, or --access vfio',
    )
  }

  assertAlive(): void {
    requireAnswer(this.config, this.name)
  }

  close(): void {
    this.undo.runQuietly()
  }
}
