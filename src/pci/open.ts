/** The way to a device, from its address. */
import { IxyError } from '../errors.ts'
import { type DeviceAddress, formatDevice } from './address.ts'
import { readFunction } from './function.ts'
import type { KnownDevices } from './ids.ts'
import { chooseAccess } from './requirements.ts'
import { openSysfs, type PciOptions } from './sysfs.ts'
import { TapTransport } from './tap.ts'
import type { Transport } from './transport.ts'
import { openVfio } from './vfio.ts'
import { openVfioUser } from './vfio-user/client.ts'
import { VhostUserTransport } from './vhost-user/transport.ts'

export interface OpenOptions {
  readonly known: KnownDevices
  /** Which way to a PCI function; null or undefined: the best that the system offers. */
  readonly access?: 'sysfs' | 'vfio' | null
  /** Takes a NIC that is in use or of an unknown model. */
  readonly force: boolean
  /** Name of the device in output; its address by default. */
  readonly name?: string
  /** Told when a vfio-user server takes long to answer; the thread is blocked meanwhile. */
  readonly onSlow?: (message: string) => void
}

/**
 * Takes the device and opens a way to it; close() gives it back. `virtual:` devices are started by the engine, which
 * passes the socket of their server here.
 */
export function openTransport(device: DeviceAddress, options: OpenOptions): Transport {
  const { known, force, name = formatDevice(device), onSlow = () => undefined } = options
  switch (device.kind) {
    case 'vfio-user':
      return openVfioUser(device.socket, { known, force, name, onSlow })
    case 'vhost-user':
      return new VhostUserTransport(device.socket, name)
    case 'tap':
      return new TapTransport(device.interface, name)
    case 'pci':
      return openPci(device.address, options.access ?? null, { known, force, name })
    case 'virtual':
      throw new IxyError('IXY_ERR_INTERNAL', `${name} has no server yet`)
  }
}

function openPci(address: string, access: 'sysfs' | 'vfio' | null, options: PciOptions): Transport {
  const way = access ?? chooseAccess(readFunction(address))
  return way === 'vfio' ? openVfio(address, options) : openSysfs(address, options)
}
