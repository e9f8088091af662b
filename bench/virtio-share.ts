/** The virtio driver beside C with the same layout: split queues, mergeable buffers, a device that wants no doorbells. */
import type { QueueShape, VirtqueueSpec } from '../src/driver/virtio/queue-spec.ts'
import { splitLayout } from '../src/driver/virtio/layout.ts'
import { virtioQueues } from '../src/driver/virtio/queues.ts'
import type { Backend } from '../src/engine/types.ts'
import { PAGE_BYTES, viewOf } from '../src/linux/mapping.ts'
import type { Contestant } from './lib/measure.ts'
import type { Handle, Native } from './lib/native.ts'
import { type Cards, FRAME, POOL_SHIFT, poolBytes, RING, Share, type Work } from './lib/share.ts'

const SHAPE: QueueShape = {
  packed: false,
  headerBytes: 12,
  headerAlone: false,
  mergeable: true,
  eventIndex: false,
}
/** From one queue to the next. */
const STRIDE = Math.ceil(splitLayout(RING).bytes / PAGE_BYTES) * PAGE_BYTES
const QUEUES = 4 * STRIDE
/** Doorbells, which nobody rings, and the driver's counters, a page each. */
const PAGES = 3 * PAGE_BYTES

export class VirtioShare extends Share {
  constructor(native: Native) {
    super(native, 2 * (poolBytes() + QUEUES) + PAGES)
  }

  protected peers(work: Work, batchSize: number): Contestant[] {
    const { native } = this
    const buffers = this.take(poolBytes())
    const { cards, handle } = this.cards(work)
    const driver = native.virtioNew(native.vbenchPort(handle, 0), buffers, POOL_SHIFT)
    const runs = {
      forward: native.virtioForward,
      receive: native.virtioReceive,
      generate: native.virtioGenerate,
    }
    const run = runs[work]
    return [this.c('C, own layout', work, batchSize, cards, (steps, limit) => run(driver, steps, limit))]
  }

  contestant(work: Work, backend: Backend, batchSize: number): Contestant {
    const { memory, seen } = this.productMemory(backend)
    const { cards, handle, queues } = this.cards(work, seen)
    const page = this.take(PAGE_BYTES)
    const queue = (number: number): VirtqueueSpec => ({
      address: queues + BigInt(number * STRIDE),
      entries: RING,
      slots: RING,
      queue: number,
      doorbell: { kind: 'memory', page, offset: 0 },
    })
    const pairs = [0, 1].map((i) => {
      const [rx, tx] = [queue(2 * i), queue(2 * i + 1)]
      const counters = this.take(PAGE_BYTES)
      const spec = { driver: 'virtio', interrupt: null, shape: SHAPE, rx, tx, counters } as const
      const pair = virtioQueues.attach(spec, memory, i)
      pair.start()
      return pair
    })
    this.native.vbenchStart(handle)
    return this.product(work, batchSize, memory, cards, pairs)
  }

  private cards(
    work: Work,
    seen = (address: bigint): bigint => address,
  ): { cards: Cards; handle: Handle; queues: bigint } {
    const { native } = this
    const queues = this.take(QUEUES)
    new Uint8Array(viewOf(queues, QUEUES)).fill(0)
    const handle = native.vbenchNew(seen(queues), STRIDE, RING, FRAME, work === 'forward' ? 1 : 0)
    const cards = this.plug({
      begin: (ports, packets) => native.vbenchBegin(handle, ports, packets),
      end: () => native.vbenchEnd(handle),
      errors: () => native.vbenchErrors(handle),
    })
    return { cards, handle, queues }
  }
}
