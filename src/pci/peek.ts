/** Looking at a card's registers without taking it. */
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { O_RDONLY, close, open } from '../linux/file.ts'
import { isErrno } from '../linux/libc.ts'
import { PROT_READ, mmap } from '../linux/mapping.ts'
import type { DeviceAddress } from './address.ts'
import { requireSupported } from './device-ids.ts'
import { type PciFunction, barBytes, readFunction } from './function.ts'
import { openTransport } from './open.ts'
import { MappedBar } from './register-access.ts'

export interface Peek {
  read32(offset: number): number
  close(): void
}

/**
 * Opens BAR0 for reading. A PCI function stays with its driver, which goes on working; a vfio-user server has one client
 * at a time, and resets its device for it. Throws as openTransport does.
 */
export function peek(device: DeviceAddress, { force }: { force: boolean }): Peek {
  if (device.kind === 'pci') {
    const fn = readFunction(device.address)
    requireSupported(device.address, fn, force)
    return mapReadOnly(fn)
  }
  const transport = openTransport(device, { force })
  return { read32: (offset) => transport.bar0.read32(offset), close: () => transport.close() }
}

function mapReadOnly(fn: PciFunction): Peek {
  const path = join(fn.path, 'resource0')
  let fd = -1
  try {
    fd = open(path, O_RDONLY)
    const bytes = barBytes(fn, 0)
    const bar = new MappedBar(mmap(bytes, { fd, protection: PROT_READ }), bytes)
    return { read32: (offset) => bar.read32(offset), close: () => bar.unmap() }
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
