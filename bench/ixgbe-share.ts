/** The ixgbe driver beside C with ixy's layout and with ours. */
import { makeRings } from '../src/driver/intel/queues.ts'
import type { RxQueue } from '../src/driver/device.ts'
import { viewOf } from '../src/linux/mapping.ts'
import { OffloadFlag } from '../src/memory/offloads.ts'
import type { PacketMemory } from '../src/memory/packets.ts'
import type { Contestant } from './lib/measure.ts'
import type { Handle, Native } from './lib/native.ts'
import { type Cards, FRAME, POOL_SHIFT, poolBytes, type Loops, RING, Share, type Work } from './lib/share.ts'

/** ixy takes at least so many buffers. */
const IXY_POOL = 4096
const DESCRIPTORS = 4 * RING * 16
const TAILS = 4096

interface Plugged {
  readonly cards: Cards
  readonly handle: Handle
  readonly rings: bigint
  readonly tails: bigint
}

export class IxgbeShare extends Share {
  constructor(native: Native) {
    super(native, poolBytes(IXY_POOL) + 2 * poolBytes() + 3 * (DESCRIPTORS + TAILS))
  }

  protected peers(work: Work, batchSize: number): Contestant[] {
    return [this.ixy(work, batchSize), this.own(work, batchSize)]
  }

  contestant(work: Work, backend: Loops, batchSize: number): Contestant {
    const { memory, seen } = this.productMemory(backend)
    const { cards, rings, tails } = this.cards(work, seen)
    const registers = new Int32Array(viewOf(tails, TAILS))
    const ports = [0, 1].map((i) => {
      const ring = (n: number): { address: bigint; entries: number } => ({
        address: rings + BigInt(n * RING * 16),
        entries: RING,
      })
      const { rx, tx } = makeRings(memory, i, ring(2 * i), ring(2 * i + 1))
      rx.start(registers, 2 * i)
      tx.start(registers, 2 * i + 1)
      return { rx: backend === 'open' ? asking(rx, memory) : rx, tx }
    })
    return this.product(work, batchSize, memory, cards, ports)
  }

  /** `seen`: at which address the cards are to see memory. */
  private cards(work: Work, seen = (address: bigint): bigint => address): Plugged {
    const { native } = this
    const tails = this.take(TAILS)
    const rings = this.take(DESCRIPTORS)
    new Uint8Array(viewOf(rings, DESCRIPTORS)).fill(0)
    new Uint8Array(viewOf(tails, TAILS)).fill(0)
    const handle = native.benchNew(seen(rings), RING, tails, FRAME, work === 'forward' ? 1 : 0)
    const cards = this.plug({
      begin: (ports, packets) => native.benchBegin(handle, ports, packets),
      end: () => native.benchEnd(handle),
      errors: () => native.benchErrors(handle),
    })
    return { cards, handle, rings, tails }
  }

  private ixy(work: Work, batchSize: number): Contestant {
    const { native } = this
    const buffers = this.take(poolBytes(IXY_POOL))
    const { cards, handle } = this.cards(work)
    const driver = native.ixyNew(native.benchPort(handle, 0), buffers, IXY_POOL)
    const run = { forward: native.ixyForward, receive: native.ixyReceive, generate: native.ixyGenerate }[work]
    return this.c('C, ixy layout', work, batchSize, cards, (steps, limit) => run(driver, steps, limit))
  }

  private own(work: Work, batchSize: number): Contestant {
    const { native } = this
    const buffers = this.take(poolBytes())
    const { cards, handle } = this.cards(work)
    const driver = native.ownNew(native.benchPort(handle, 0), buffers, POOL_SHIFT)
    const run = { forward: native.ownForward, receive: native.ownReceive, generate: native.ownGenerate }[work]
    return this.c('C, own layout', work, batchSize, cards, (steps, limit) => run(driver, steps, limit))
  }
}

/** Of every packet that comes in, the checksum is open. */
function asking(rx: RxQueue, { offloads }: PacketMemory): RxQueue {
  if (offloads === null) throw new Error('these rings have no offloads')
  const { flags, checksumStart, checksumOffset } = offloads
  const receive = (batch: Int32Array, limit: number): number => {
    const count = rx.receive(batch, limit)
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      flags[id] = OffloadFlag.CHECKSUM_OPEN
      checksumStart[id] = 34
      checksumOffset[id] = 16
    }
    return count
  }
  return { ...rx, receive, untaken: rx.untaken }
}
