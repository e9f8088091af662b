import { GAP } from '../../memory/arena.ts'
import { MAX_MTU } from '../../packet/ethernet.ts'
import type { SystemDriver } from '../driver.ts'
import { TapDevice } from './device.ts'
import { queueBytes } from './layout.ts'

/** The driver for TAP interfaces of Linux, in the main thread. */
export const tap: SystemDriver = {
  name: 'tap',
  access: 'tap',
  model: { model: 'Linux TAP interface', family: 'tap' },
  // What is joined ends with a batch, and the kernel's largest packets make 45 each (docs/host-interface.md).
  batchSize: 128,
  // Its queues are the kernel's, and hold net.core's txqueuelen; a ring is what one call reads or writes.
  limits: { queues: 16, interruptQueues: 16, ringSize: { min: 64, max: 4096 }, mtu: MAX_MTU },
  opensChecksums: true,
  dmaBytes: ({ queues }) => queues * (queueBytes() + GAP),
  open: (transport, arena, options) => new TapDevice(transport, arena, options),
}
