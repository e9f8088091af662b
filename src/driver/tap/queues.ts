/** The half of the TAP driver in a worker. */
import { Ring } from '../../linux/io-uring.ts'
import type { DriverQueues, QueuePair } from '../queues.ts'
import { type FrameIo, OneByOne } from './frame-io.ts'
import { HEADER_BYTES } from './layout.ts'
import { partsOf } from './parts.ts'
import type { TapQueueSpec } from './queue-spec.ts'
import { TapReceive } from './receive.ts'
import { TapStandIn } from './stand-in.ts'
import { TapTransmit } from './transmit.ts'

export const tapQueues: DriverQueues<TapQueueSpec> = {
  attach(spec, memory, pool): QueuePair {
    const parts = partsOf(spec, memory)
    const io: FrameIo = spec.ring === null ? new OneByOne() : new Ring(spec.ring)
    const rx = new TapReceive(memory, pool, parts, io)
    const tx = new TapTransmit(memory, parts, io)
    const start = (through: FrameIo, rehearsing: boolean): void => {
      parts.counters.fill(0)
      rx.start(through, rehearsing)
      tx.start(through)
    }
    return {
      rx,
      tx,
      headerBytes: HEADER_BYTES,
      fillsBuffers: true,
      start: () => start(io, false),
      rehearse() {
        const standIn = new TapStandIn(memory, parts)
        start(standIn, true)
        return standIn
      },
    }
  },
}
