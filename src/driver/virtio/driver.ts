import { MAX_MTU } from '../../packet/ethernet.ts'
import type { PciDriver } from '../driver.ts'
import { VirtioDevice } from './device.ts'
import { dumpFunction } from './dump.ts'
import { FAMILIES, RED_HAT, identify } from './models.ts'
import { openFunction } from './open-function.ts'
import { ringBytes } from './sizes.ts'

/** The driver for virtio network cards, in the main thread. */
export const virtio: PciDriver = {
  name: 'virtio',
  vendor: { id: RED_HAT, name: 'Red Hat' },
  families: FAMILIES,
  // A device may have fewer queues and smaller rings; that shows when it is opened.
  limits: { queues: 16, interruptQueues: 16, ringSize: { min: 64, max: 4096 }, mtu: MAX_MTU },
  identify,
  dmaBytes: (options, transport) => ringBytes(transport === null ? null : openFunction(transport), options),
  open: (transport, arena, options) => new VirtioDevice(transport, arena, options),
  dump: dumpFunction,
}
