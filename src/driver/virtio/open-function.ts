import { IxyError } from '../../errors.ts'
import type { Transport } from '../../pci/transport.ts'
import { VhostUserTransport } from '../../pci/vhost-user/transport.ts'
import { findPlaces } from './capabilities.ts'
import { FEATURES } from './features.ts'
import type { VirtioFunction } from './function.ts'
import { LEGACY_BAR, LegacyFunction } from './legacy.ts'
import { ModernFunction } from './modern.ts'
import { VhostUserFunction } from './vhost-user.ts'

/**
 * The newest registers that the function has. Throws IXY_ERR_DEVICE_UNSUPPORTED if it has none that this driver knows.
 */
export function openFunction(transport: Transport): VirtioFunction {
  if (transport instanceof VhostUserTransport) return new VhostUserFunction(transport)
  const places = findPlaces(transport.config, transport.name)
  if (places === null) {
    if (transport.bar(LEGACY_BAR).space === 'io') return new LegacyFunction(transport)
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `${transport.name} has neither the capabilities of virtio 1.0 nor I/O ports in BAR0 (virtio 1.2 §4.1.4)`,
      'report it to whoever makes it',
    )
  }
  const modern = new ModernFunction(transport, places)
  if (modern.offered().has(FEATURES.VERSION_1)) return modern
  throw new IxyError(
    'IXY_ERR_DEVICE_UNSUPPORTED',
    `${transport.name} has the registers of virtio 1.0, but doesn't offer VERSION_1 (virtio 1.2 §6.1)`,
    'report it to whoever makes it',
  )
}
