/** Looking at a card's registers without taking it. */
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { O_RDONLY, close, open } from '../linux/file.ts'
import { isErrno } from '../linux/libc.ts'
import { PROT_READ, mmap } from '../linux/mapping.ts'
import type { DeviceAddress } from './address.ts'
import { type Bar, Bars, MappedBar, fileBar, spaceOf } from './bars.ts'
import { COMMAND, COMMAND_IO, COMMAND_MEMORY, FileConfigSpace } from './config-space.ts'
import { type PciFunction, type Roots, barBytes, readFunction } from './function.ts'
import { type KnownDevices, type PciIds, readIds } from './ids.ts'
import { openTransport } from './open.ts'
import { requirePages } from './sysfs.ts'
import type { FunctionView, ReadableConfig } from './transport.ts'
import { Undo } from '../undo.ts'

export interface Peek extends FunctionView {
  readonly ids: PciIds
  close(): void
}

export interface PeekOptions extends Pick<Roots, 'sysfsRoot'> {
  readonly known: KnownDevices
  /** Also of an unknown model. */
  readonly force: boolean
}

/**
 * Opens configuration space and BARs for reading. A PCI function stays with its driver, which goes on working; a vfio-user
 * server has one client at a time, and resets its device for it. Throws as openTransport does.
 */
export function peek(device: DeviceAddress, { known, force, sysfsRoot }: PeekOptions): Peek {
  if (device.kind === 'pci') {
    const fn = readFunction(device.address, sysfsRoot)
    known.requireSupported(device.address, fn, force)
    return peekAt(fn)
  }
  if (device.kind === 'tap')
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `tap:${device.interface} has no registers: it is an interface of the operating system`,
      `look at it with: ip -d -s link show ${device.interface}`,
    )
  const transport = openTransport(device, { known, force })
  const { name, config } = transport
  return {
    name,
    ids: readIds(config, name),
    config,
    bar: (index) => transport.bar(index),
    close: () => transport.close(),
  }
}

function peekAt(fn: PciFunction): Peek {
  const undo = new Undo()
  const config = new FileConfigSpace(open(join(fn.path, 'config'), O_RDONLY))
  undo.push(() => config.close())
  const bars = new Bars(fn.address, (index) => openReadOnly(fn, config, index, undo))
  undo.push(() => bars.close())
  return { name: fn.address, ids: fn, config, bar: (index) => bars.at(index), close: () => undo.runQuietly() }
}

/** A function that no driver has enabled may answer no access: every register would read as 0 or as all ones. */
function requireDecoding(fn: PciFunction, config: ReadableConfig, space: 'memory' | 'io'): void {
  const bit = space === 'io' ? COMMAND_IO : COMMAND_MEMORY
  if ((config.read16(COMMAND) & bit) !== 0) return
  throw new IxyError(
    'IXY_ERR_SYSTEM',
    `the registers of ${fn.address} are switched off (${space === 'io' ? 'I/O' : 'memory'} space, PCI command register)`,
    `switch them on: echo 1 | sudo tee ${join(fn.path, 'enable')}`,
  )
}

function openReadOnly(fn: PciFunction, config: FileConfigSpace, index: number, undo: Undo): Bar | null {
  const bytes = barBytes(fn, index)
  if (bytes === 0) return null
  const space = spaceOf(config, index)
  requireDecoding(fn, config, space)
  const path = join(fn.path, `resource${index}`)
  let fd = -1
  try {
    fd = open(path, O_RDONLY)
    if (space === 'io') {
      const ports = fd
      fd = -1
      undo.push(() => close(ports))
      return fileBar(ports, 0, bytes, space)
    }
    requirePages(fn, index, bytes)
    return new MappedBar(mmap(bytes, { fd, protection: PROT_READ }), bytes)
  } catch (cause) {
    if (isErrno(cause, 'EINVAL')) {
      const fix = `unbind it first: echo ${fn.address} | sudo tee /sys/bus/pci/drivers/${fn.driver}/unbind`
      const what = `this kernel shows nobody the registers that ${fn.driver} uses (CONFIG_IO_STRICT_DEVMEM)`
      throw new IxyError('IXY_ERR_DEVICE_IN_USE', `${fn.address}: ${what}`, fix, { cause })
    }
    if (!isErrno(cause, 'EACCES', 'EPERM')) throw cause
    throw new IxyError('IXY_ERR_PERMISSION', `${path} can't be read`, 'run as root', { cause })
  } finally {
    if (fd !== -1) close(fd)
  }
}
