/** Checks of the `<device>` arguments that need no device: syntax, and the same thing named twice. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { type DeviceAddress, formatDevice, parseDevice } from '../pci/address.ts'
import { keepsToLineRate, validateWire, wireClaims } from '../vnic/wires/parse.ts'
import { usageError } from '../option-values.ts'

/** A capture that an option names. */
interface NamedFile {
  readonly option: string
  readonly file: string
}

/**
 * The devices under the names that every output shows, with what options read and write besides. Throws IXY_ERR_USAGE for what
 * can't work whatever the system.
 */
export function checkDevices(
  texts: readonly string[],
  {
    reads = null,
    writes = null,
  }: { readonly reads?: NamedFile | null; readonly writes?: NamedFile | null } = {},
): string[] {
  const addresses = texts.map(parseDevice)
  for (const address of addresses) if (address.kind === 'virtual') validateWire(address.wire)
  const claims = addresses.flatMap((address, i) => claimsOf(address, texts[i]))
  if (reads !== null) claims.push(fileClaim('read', reads.file, `${reads.option} ${reads.file}`))
  if (writes !== null) claims.push(claimOf('write', writes.file, `${writes.option} ${writes.file}`))
  refuseSharing(claims)
  return addresses.map(formatDevice)
}

/** A device's name as outputs show it: `03:00.0` is 0000:03:00.0. */
export function deviceName(text: string): string {
  return formatDevice(parseDevice(text))
}

/**
 * Nothing exceeds the rate of a link in this run: all that sends keeps to it, or is held to it by a real link. `flatOut`: the app
 * itself doesn't.
 */
export function lineRateLimited(devices: readonly string[], flatOut: boolean): boolean {
  const addresses = devices.map(parseDevice)
  if (flatOut && addresses.some(({ kind }) => kind !== 'pci')) return false
  // What another process's wire sends can't be known.
  return addresses.every(
    (address) => address.kind === 'pci' || (address.kind === 'virtual' && keepsToLineRate(address.wire)),
  )
}

/** The same for the wire of `ixy-ts vnic`, which belongs to a socket. */
export function checkWire(wire: string): void {
  validateWire(wire)
  refuseSharing(claimsOfWire(wire, wire))
}

/** What an argument takes: a device or a file. */
interface Claim {
  readonly use: 'device' | 'write' | 'read'
  /** The same text for the same thing. */
  readonly resource: string
  /** The argument. */
  readonly by: string
}

/** Any number of devices may be `virtual:gen`. */
function claimsOf(address: DeviceAddress, by: string): Claim[] {
  if (address.kind === 'virtual') return claimsOfWire(address.wire, by)
  if (address.kind === 'tap') return [tapClaim(address.interface, by)]
  const resource = 'socket' in address ? `socket ${path.resolve(address.socket)}` : formatDevice(address)
  return [{ use: 'device', resource, by }]
}

function claimsOfWire(wire: string, by: string): Claim[] {
  return wireClaims(wire).map(({ use, resource }): Claim => {
    if (use === 'tap') return tapClaim(String(resource), by)
    return claimOf(use, resource, by)
  })
}

function claimOf(use: 'write' | 'read', file: string | Buffer, by: string): Claim {
  // Who reads from a stream takes it away from others.
  if (file === '-') return { use: 'write', resource: use === 'write' ? 'stdout' : 'stdin', by }
  return fileClaim(use, file, by)
}

/** As a device, or as what is at the end of a virtual one's cable. */
function tapClaim(name: string, by: string): Claim {
  return { use: 'device', resource: `tap=${name}`, by }
}

function fileClaim(use: 'write' | 'read', file: string | Buffer, by: string): Claim {
  try {
    const { dev, ino } = statSync(file)
    // A file may have several names.
    return { use, resource: `${dev}:${ino}`, by }
  } catch {
    // Not there yet.
    return { use, resource: typeof file === 'string' ? path.resolve(file) : file.toString('latin1'), by }
  }
}

/** Whether one of the devices writes a capture to stdout. Throws IXY_ERR_USAGE for what is no device. */
export function takesStdout(devices: readonly string[]): boolean {
  return devices.some((text) => {
    const address = parseDevice(text)
    return address.kind === 'virtual' && wireTakesStdout(address.wire)
  })
}

/** The same for a `<wire>`. */
export function wireTakesStdout(wire: string): boolean {
  return wireClaims(wire).some(({ use, resource }) => use === 'write' && resource === '-')
}

/** A device has one owner, and a capture that is written nobody else; any number may read one. */
function refuseSharing(claims: readonly Claim[]): void {
  const taken = new Map<string, Claim>()
  for (const claim of claims) {
    const { use, resource, by } = claim
    const other = taken.get(resource)
    if (other !== undefined && (use !== 'read' || other.use !== 'read')) {
      if (use === 'device')
        throw usageError(`${by} and ${other.by} are the same device`, 'give two different ones')
      throw usageError(`${by} and ${other.by} use the same file`, 'record into a file of its own')
    }
    taken.set(resource, claim)
  }
}
