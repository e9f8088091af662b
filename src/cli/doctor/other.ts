/** What stands between a run and a device that is no card of this machine. */
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { toPath } from '../../captures/file-name.ts'
import { probeCapture } from '../../captures/probe.ts'
import type { IxyError } from '../../errors.ts'
import { requireTapRights } from '../../linux/tap-rights.ts'
import { fileError } from '../../packet/pcap.ts'
import { type DeviceAddress, formatDevice } from '../../pci/address.ts'
import { noServer, notYourServer } from '../../pci/vfio-user/connection.ts'
import { noBackend, notYourBackend } from '../../pci/vhost-user/backend.ts'
import { wireClaims } from '../../vnic/wires/parse.ts'
import type { Diagnosis } from './card.ts'
import { type Finding, judge, type Machine, ok } from './finding.ts'

type Other = Exclude<DeviceAddress, { readonly kind: 'pci' }>

export function examineOther(device: Other, { rights: { capabilities } }: Machine): Diagnosis {
  return {
    device: formatDevice(device),
    access: accessOf(device),
    findings: findingsFor(device, capabilities),
  }
}

function accessOf({ kind }: Other): string {
  return kind === 'virtual' ? 'vfio-user' : kind
}

function findingsFor(device: Other, capabilities: readonly string[]): Finding[] {
  switch (device.kind) {
    case 'tap':
      return [tap(device.interface, capabilities)]
    case 'vfio-user':
      return [socket(device.socket, noServer, notYourServer)]
    case 'vhost-user':
      return [socket(device.socket, noBackend, notYourBackend)]
    case 'virtual':
      return [
        ok('model', 'a virtual 82599, made for the run: no root, no huge pages'),
        ...wireClaims(device.wire).map(({ use, resource }) => {
          if (use === 'tap') return tap(String(resource), capabilities)
          return resource === '-' ? ok('file', 'a standard stream') : file(use, resource)
        }),
      ]
  }
}

function tap(name: string, capabilities: readonly string[]): Finding {
  return judge(
    'tap',
    () => requireTapRights(name, capabilities),
    () => ok('tap', `this user may plug into ${name}, if no other program is`),
  )
}

/** Who listens is not asked: that would be a client. */
function socket(
  file: string,
  nobody: (file: string) => IxyError,
  closed: (file: string, cause: unknown) => IxyError,
): Finding {
  const attempt = (): void => {
    if (statSync(file, { throwIfNoEntry: false })?.isSocket() !== true) throw nobody(file)
    try {
      accessSync(file, constants.W_OK)
    } catch (cause) {
      throw closed(file, cause)
    }
  }
  return judge('socket', attempt, () =>
    ok('socket', `${file}: whether its server answers shows at the start`),
  )
}

function file(use: 'write' | 'read', resource: string | Buffer): Finding {
  const name = resource.toString()
  const attempt = (): void => {
    if (use === 'read') return probeCapture(name)
    try {
      const there = statSync(toPath(name), { throwIfNoEntry: false })
      if (there?.isDirectory() === true) throw Object.assign(new Error(), { code: 'EISDIR' })
      accessSync(there === undefined ? path.dirname(name) : toPath(name), constants.W_OK)
    } catch (cause) {
      throw fileError('write', name, cause)
    }
  }
  return judge('file', attempt, () => ok('file', `${name} can be ${use === 'read' ? 'read' : 'written'}`))
}
