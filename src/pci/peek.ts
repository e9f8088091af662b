/** Looking at a card's registers without taking it. */
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { O_RDONLY, close, open } from '../linux/file.ts'
import { isErrno } from '../linux/libc.ts'
import { PROT_READ, mmap } from '../linux/mapping.ts'
import type { DeviceAddress } from './address.ts'
import { type PciFunction, type Roots, barBytes, readFunction } from './function.ts'
import { type KnownDevices, type PciIds, readIds } from './ids.ts'
import { openTransport } from './open.ts'
import { COMMAND, COMMAND_MEMORY, FileConfigSpace, MappedBar } from './register-access.ts'

export interface Peek {
  readonly ids: PciIds
  read32(offset: number): number
  close(): void
}

export interface PeekOptions extends Pick<Roots, 'sysfsRoot'> {
  readonly known: KnownDevices
  /** Also of an unknown model. */
  readonly force: boolean
}

/**
 * Opens BAR0 for reading. A PCI function stays with its driver, which goes on working; a vfio-user server has one client
 * at a time, and resets its device for it. Throws as openTransport does.
 */
export function peek(device: DeviceAddress, { known, force, sysfsRoot }: PeekOptions): Peek {
  if (device.kind === 'pci') {
    const fn = readFunction(device.address, sysfsRoot)
    known.requireSupported(device.address, fn, force)
    requireDecoding(fn)
    return mapReadOnly(fn)
  }
  const transport = openTransport(device, { known, force })
  return {
    ids: readIds(transport.config, transport.name),
    read32: (offset) => transport.bar0.read32(offset),
    close: () => transport.close(),
  }
}

/** A function that no driver has enabled may answer no memory access: every register would read as 0 or as all ones. */
function requireDecoding(fn: PciFunction): void {
  const config = new FileConfigSpace(open(join(fn.path, 'config'), O_RDONLY))
  const command = config.read16(COMMAND)
  config.close()
  if ((command & COMMAND_MEMORY) !== 0) return
  throw new IxyError(
    'IXY_ERR_SYSTEM',
    `the registers of ${fn.address} are switched off (memory space, PCI command register)`,
    `switch them on: echo 1 | sudo tee ${join(fn.path, 'enable')}`,
  )
}

function mapReadOnly(fn: PciFunction): Peek {
  const path = join(fn.path, 'resource0')
  let fd = -1
  try {
    fd = open(path, O_RDONLY)
    const bytes = barBytes(fn, 0)
    const bar = new MappedBar(mmap(bytes, { fd, protection: PROT_READ }), bytes)
    return { ids: fn, read32: (offset) => bar.read32(offset), close: () => bar.unmap() }
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
