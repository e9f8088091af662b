/** How large queues are: what the user wants, as far as the device goes along. */
import { IxyError } from '../../errors.ts'
import { GAP } from '../../memory/arena.ts'
import type { QueueOptions } from '../driver.ts'
import { COMMAND_BYTES } from './control.ts'
import { FEATURES } from './features.ts'
import type { VirtioFunction } from './function.ts'
import { queueBytes } from './queue-memory.ts'
import { COUNTERS } from './counters.ts'
import { NET } from './registers.ts'

/** The most descriptors that the command queue gets: more than a command needs. */
const CONTROL_ENTRIES = 64
/** Number of the command queue without MQ (virtio 1.2 §5.1.2). */
const CONTROL_QUEUE = 2

/** Descriptors of a queue, a power of two. Throws IXY_ERR_DEVICE_UNSUPPORTED if there is no such queue. */
export function entriesOf(fn: VirtioFunction, name: string, queue: number, wanted: number): number {
  const most = fn.queueSize(queue)
  const refuse = (what: string): never => {
    throw new IxyError('IXY_ERR_DEVICE_UNSUPPORTED', `${name} ${what} (queue_size, virtio 1.2 §4.1.4.3)`)
  }
  if (most === 0) refuse(`has no queue ${queue}`)
  if (!fn.legacy) return 2 ** Math.floor(Math.log2(Math.min(most, wanted)))
  if ((most & (most - 1)) !== 0) refuse(`has ${most} descriptors in queue ${queue}, which is no power of two`)
  return most
}

export function controlEntries(fn: VirtioFunction, name: string, queue: number): number {
  return entriesOf(fn, name, queue, CONTROL_ENTRIES)
}

/** Packets that a queue holds at most: buffers are counted by what the user wants, and legacy devices dictate the descriptors. */
export function slotsOf(entries: number, wanted: number, headerAlone: boolean): number {
  return Math.min(headerAlone ? entries >> 1 : entries, wanted)
}

/** Number of the command queue: behind all pairs that the device has, also those that aren't used (§5.1.2). */
export function controlQueue(fn: VirtioFunction, multiqueue: boolean): number {
  return multiqueue ? 2 * fn.net(NET.max_virtqueue_pairs) : CONTROL_QUEUE
}

/** Throws IXY_ERR_DEVICE_UNSUPPORTED, naming the option, if the device has fewer queue pairs. */
export function requirePairs(fn: VirtioFunction, name: string, multiqueue: boolean, queues: number): void {
  const pairs = multiqueue ? fn.net(NET.max_virtqueue_pairs) : 1
  if (queues > pairs)
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `${name} has ${pairs} queue pair${pairs === 1 ? '' : 's'}`,
      `use --queues ${pairs}`,
    )
}

/** Which queue it is depends on what will be negotiated. */
function legacyControlEntries(fn: VirtioFunction): number {
  const last = controlQueue(fn, fn.offered().has(FEATURES.MQ))
  return Math.max(fn.queueSize(CONTROL_QUEUE), fn.queueSize(last))
}

/** Bytes of DMA memory that the queues of a device take at most, and what belongs to them; null: of one that is no legacy device. */
export function ringBytes(fn: VirtioFunction | null, { queues, ringSize }: QueueOptions): number {
  const dictates = fn?.legacy === true ? fn : null
  const entries = Array.from({ length: 2 * queues }, (_, queue) => dictates?.queueSize(queue) ?? ringSize)
  entries.push(dictates === null ? CONTROL_ENTRIES : legacyControlEntries(dictates))
  const rings = entries.reduce((sum, count) => sum + queueBytes(count) + GAP, 0)
  return rings + queues * (COUNTERS * 8 + GAP) + COMMAND_BYTES + GAP
}
