/** The forms a device argument can take on the command line. */
import { IxyError } from '../errors.ts'
import { checkInterfaceName } from '../linux/tap.ts'

export type DeviceAddress =
  /** A PCI function: `0000:03:00.0`. */
  | { readonly kind: 'pci'; readonly address: string }
  /** A vfio-user server behind this socket. */
  | { readonly kind: 'vfio-user'; readonly socket: string }
  /** The queues of a virtio network card, worked on by the back end behind this socket. */
  | { readonly kind: 'vhost-user'; readonly socket: string }
  /** A TAP interface of Linux, by name. */
  | { readonly kind: 'tap'; readonly interface: string }
  /** A virtual 82599 for the life of the command, with these wires in its port. */
  | { readonly kind: 'virtual'; readonly wire: string }

/** domain:bus:device.function in hex; the domain may be left out. A bus has 32 devices, a device 8 functions. */
const PCI_ADDRESS = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i

const FORMS =
  'use a PCI address such as 0000:03:00.0 (ixy-ts devices lists them), vfio-user:<socket>, vhost-user:<socket>, tap:<ifname> or virtual:<wire>'

/** Throws IXY_ERR_USAGE if `text` is none of the forms. Whether there is such a device is another question. */
export function parseDevice(text: string): DeviceAddress {
  for (const kind of ['vfio-user', 'vhost-user'] as const) {
    if (!text.startsWith(`${kind}:`)) continue
    const socket = text.slice(kind.length + 1)
    if (socket === '')
      throw new IxyError('IXY_ERR_USAGE', `'${text}' names no socket`, `use ${kind}:<path of the socket>`)
    return { kind, socket }
  }
  if (text.startsWith('virtual:')) {
    const wire = text.slice('virtual:'.length)
    if (wire === '')
      throw new IxyError('IXY_ERR_USAGE', `'${text}' names no wire`, 'use for example virtual:gen')
    return { kind: 'virtual', wire }
  }
  if (text.startsWith('tap:')) {
    const name = text.slice('tap:'.length)
    checkInterfaceName(name)
    return { kind: 'tap', interface: name }
  }
  const match = PCI_ADDRESS.exec(text)
  if (match === null) throw new IxyError('IXY_ERR_USAGE', `'${text}' is not a device`, FORMS)
  const [, domain = '0000', bus, device, fn] = match
  return { kind: 'pci', address: `${domain}:${bus}:${device}.${fn}`.toLowerCase() }
}

/** The device as every line of output shows it; PCI addresses in full. */
export function formatDevice(device: DeviceAddress): string {
  if (device.kind === 'pci') return device.address
  if (device.kind === 'tap') return `tap:${device.interface}`
  return device.kind === 'virtual' ? `virtual:${device.wire}` : `${device.kind}:${device.socket}`
}
