import { MAX_MTU } from '../../packet/ethernet.ts'
import type { PciDriver } from '../driver.ts'
import { DESCRIPTOR_BYTES } from '../intel/descriptors.ts'
import { BAR, IxgbeDevice } from './device.ts'
import { dumpRegisters } from '../intel/dump.ts'
import { FAMILIES, INTEL, identify } from './models.ts'
import { REG } from './registers.ts'
import { MAX_RSS_QUEUES } from './rss.ts'

/** The driver for the 82599 and its relatives, in the main thread. */
export const ixgbe: PciDriver = {
  name: 'ixgbe',
  vendor: { id: INTEL, name: 'Intel' },
  families: FAMILIES,
  limits: {
    queues: MAX_RSS_QUEUES,
    interruptQueues: MAX_RSS_QUEUES,
    // The card wants multiples of 128 bytes, and counts descriptors with 16 bits; powers of two let the loops wrap with a mask.
    ringSize: { min: 64, max: 4096 },
    mtu: MAX_MTU,
  },
  identify,
  dmaBytes: ({ queues, ringSize }) => queues * 2 * ringSize * DESCRIPTOR_BYTES,
  open: (transport, arena, options) => new IxgbeDevice(transport, arena, options),
  // Reading SWSM takes its semaphore (82599 §8.2.3.4.9).
  dump: (device) => dumpRegisters(REG, [REG.SWSM], device.bar(BAR)),
}
