/** The forms a device argument can take on the command line. */
import { IxyError } from '../errors.ts'

export type DeviceAddress =
  /** A PCI function: `0000:03:00.0`. */
  | { readonly kind: 'pci'; readonly address: string }
  /** A vfio-user server behind this socket. */
  | { readonly kind: 'vfio-user'; readonly socket: string }
  /** A virtual 82599 for the life of the command, with these wires in its port. */
  | { readonly kind: 'virtual'; readonly wire: string }

/** domain:bus:device.function in hex; the domain may be left out. A bus has 32 devices, a device 8 functions. */
const PCI_ADDRESS = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i

const FORMS =
  'use a PCI address such as 0000:03:00.0 (ixy-ts devices lists them), vfio-user:<socket> or virtual:<wire>'

/** Throws IXY_ERR_USAGE if `text` is none of the forms. Whether there is such a device is another question. */
export function parseDevice(text: string): DeviceAddress {
  if (text.startsWith('vfio-user:')) {
    const socket = text.slice('vfio-user:'.length)
    if (socket === '')
      throw new IxyError('IXY_ERR_USAGE', `'${text}' names no socket`, 'use vfio-user:<path of the socket>')
    return { kind: 'vfio-user', socket }
  }
  if (text.startsWith('virtual:')) {
    const wire = text.slice('virtual:'.length)
    if (wire === '')
      throw new IxyError('IXY_ERR_USAGE', `'${text}' names no wire`, 'use for example virtual:gen')
    return { kind: 'virtual', wire }
  }
  const match = PCI_ADDRESS.exec(text)
  if (match === null) throw new IxyError('IXY_ERR_USAGE', `'${text}' is not a device`, FORMS)
  const [, domain = '0000', bus, device, fn] = match
  return { kind: 'pci', address: `${domain}:${bus}:${device}.${fn}`.toLowerCase() }
}

/** The device as every line of output shows it; PCI addresses in full. */
export function formatDevice(device: DeviceAddress): string {
  if (device.kind === 'pci') return device.address
  return device.kind === 'vfio-user' ? `vfio-user:${device.socket}` : `virtual:${device.wire}`
}
