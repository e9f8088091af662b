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
import { FileConfigSpace, MappedBar, requireAnswer, setBusMaster } from './register-access.ts'
import type { Transport } from './transport.ts'
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
  if (fn.driver === 'vfio-pci')
    throw new IxyError(
      'IXY_ERR_DEVICE_IN_USE',
      `${address} is bound to vfio-pci`,
      'use --access vfio, or bind it to ixgbe again',
    )
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
    const bar = mapBar0(fn)
    undo.push(() => bar.unmap())
    setBusMaster(config, true)
    return new SysfsTransport(options.name ?? address, fn, config, bar, undo)
  } catch (error) {
    undo.runQuietly()
    throw error
  }
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

function mapBar0(fn: PciFunction): MappedBar {
  const bytes = barBytes(fn, 0)
  if (bytes === 0)
    throw new IxyError('IXY_ERR_DEVICE_UNSUPPORTED', `${fn.address} has no registers in memory (BAR0)`)
  const fd = openFile(fn, 'resource0', O_RDWR | O_SYNC)
  try {
    return new MappedBar(mmap(bytes, { fd }), bytes)
  } finally {
    close(fd)
  }
}

function openFile(fn: PciFunction, name: string, flags: number): number {
  try {
    return open(join(fn.path, name), flags)
  } catch (cause) {
    if (!isErrno(cause, 'EACCES', 'EPERM')) throw cause
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `${join(fn.path, name)} can't be opened`,
      'run as root, or use VFIO (docs/setup.md); a locked-down kernel (Secure Boot) allows only VFIO',
      { cause },
    )
  }
}

class SysfsTransport implements Transport {
  readonly access = 'sysfs'
  readonly needsPhysicalAddresses = true
  readonly name: string
  readonly numaNode: number
  readonly config: FileConfigSpace
  readonly bar0: MappedBar
  private readonly undo: Undo

  constructor(name: string, fn: PciFunction, config: FileConfigSpace, bar0: MappedBar, undo: Undo) {
    this.name = name
    this.numaNode = fn.numaNode
    this.config = config
    this.bar0 = bar0
    this.undo = undo
  }

  /** Physical memory is all there for the card. */
  mapDma(): void {}

  doorbellPage(offset: number): bigint {
    return this.bar0.page(offset)
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
