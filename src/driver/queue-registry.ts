/** All drivers, as a worker sees them. registry.ts has their other halves. */
import { IxyError } from '../errors.ts'
import type { PacketMemory } from '../memory/packets.ts'
import type { QueueSpec } from './device.ts'
import { intelQueues } from './intel/queues.ts'
import type { DriverQueues, QueuePair } from './queues.ts'
import { tapQueues } from './tap/queues.ts'
import { withSoftwareOffloads } from './software-offloads.ts'
import { virtioQueues } from './virtio/queues.ts'

const QUEUES: Readonly<Record<string, DriverQueues>> = {
  ixgbe: intelQueues,
  virtio: virtioQueues,
  tap: tapQueues,
}

/** Makes the rings of `spec` usable in this thread. Received packets get the buffers of `pool`. */
export function attach(spec: QueueSpec, memory: PacketMemory, pool: number): QueuePair {
  const queues = Object.hasOwn(QUEUES, spec.driver) ? QUEUES[spec.driver] : undefined
  if (queues === undefined)
    throw new IxyError('IXY_ERR_INTERNAL', `no worker knows the driver ${spec.driver}`)
  return withSoftwareOffloads(queues.attach(spec, memory, pool), memory, spec.offloads)
}
