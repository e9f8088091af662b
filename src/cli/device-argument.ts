/** Checks of the `<device>` arguments that need no device: syntax, and the same thing named twice. */
import path from 'node:path'
import { type DeviceAddress, formatDevice, parseDevice } from '../pci/address.ts'
import { validateWire } from '../vnic/wires/parse.ts'
import { usageError } from './usage.ts'

/** The devices under the names that every output shows. Throws IXY_ERR_USAGE for what can't work whatever the system. */
export function checkDevices(texts: readonly string[]): string[] {
  const addresses = texts.map(parseDevice)
  for (const address of addresses) if (address.kind === 'virtual') validateWire(address.wire)
  refuseSharing(texts, addresses.map(claims))
  return addresses.map(formatDevice)
}

/** A device's name as outputs show it: `03:00.0` is 0000:03:00.0. */
export function deviceName(text: string): string {
  return formatDevice(parseDevice(text))
}

/** The same for the wire of `ixy-ts vnic`, which belongs to a socket. */
export function checkWire(wire: string): void {
  validateWire(wire)
  refuseSharing([wire], [wireClaims(wire)])
}

/** What only one device at a time can have. Any number of them may be `virtual:gen`. */
function claims(address: DeviceAddress): string[] {
  if (address.kind === 'virtual') return wireClaims(address.wire)
  return [address.kind === 'vfio-user' ? `socket ${path.resolve(address.socket)}` : formatDevice(address)]
}

/** A TAP has one owner, and a capture file one writer. */
function wireClaims(wire: string): string[] {
  return wire.split(',').flatMap((part) => {
    const [, kind, value] = /^(tap|record)=(.*)$/.exec(part) ?? []
    if (kind === undefined) return []
    return [kind === 'record' ? `record ${path.resolve(value)}` : part]
  })
}

function refuseSharing(texts: readonly string[], claimed: readonly (readonly string[])[]): void {
  const takenBy = new Map<string, string>()
  claimed.forEach((claims, i) => {
    for (const claim of claims) {
      const other = takenBy.get(claim)
      if (other !== undefined) {
        throw usageError(`${texts[i]} and ${other} are the same device`, 'give two different ones')
      }
      takenBy.set(claim, texts[i])
    }
  })
}
