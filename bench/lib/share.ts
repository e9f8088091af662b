/**
 * A driver's share: nanoseconds per packet of receive and transmit code alone, on two device pairs, beside drivers in C on the
 * same work.
 */
import { makeStep } from '../../src/apps/forward/app.ts'
import { GeneratedFrames } from '../../src/apps/pktgen/frame-source.ts'
import type { RxQueue, TxQueue } from '../../src/driver/device.ts'
import { makeSender } from '../../src/apps/pktgen/sender.ts'
import { DataPort } from '../../src/engine/data-plane.ts'
import type { Backend } from '../../src/engine/types.ts'
import { type HugepageBlock, allocateShared, releaseBlock } from '../../src/linux/hugepages.ts'
import { PAGE_BYTES, addressOf } from '../../src/linux/mapping.ts'
import { PacketMemory } from '../../src/memory/packets.ts'
import { WasmSpace } from '../../src/memory/wasm-space.ts'
import { DEFAULT_TEMPLATE } from '../../src/packet/template.ts'
import { planFrames } from '../../src/apps/pktgen/templates/frame-plan.ts'
import { type Comparison, type Contestant, type Effort, compare } from './measure.ts'
import type { Native } from './native.ts'

export const RING = 512
export const FRAME = 60
export const POOL_SHIFT = 11
const BUFFER_SHIFT = 11
const POOLS = 3
const UNDERSTOOD = { use: 'understands', pool: -1 } as const

export type Work = 'forward' | 'receive' | 'generate'
/** The product's loops; 'offloads': rings with offloads; 'open': of every packet the checksum is the card's work. */
export type Loops = Backend | 'offloads' | 'open'

/** Two stand-in cards: what happens between the timed parts. */
export interface Cards {
  /** Sends what is in the transmit rings, lets `packets` packets come in at each of the first `ports` cards. */
  begin(ports: number, packets: number): void
  /** Nanoseconds since the end of begin(). */
  end(): number
  /** Packets that didn't come out as they should. */
  errors(): number
}

export abstract class Share {
  readonly hugepages: boolean
  protected readonly native: Native
  private readonly memory: HugepageBlock
  private taken = 0
  private readonly plugged: Cards[] = []

  /** `bytes`: all that will be taken. */
  protected constructor(native: Native, bytes: number) {
    this.native = native
    this.memory = allocateShared(bytes)
    this.hugepages = this.memory.pageBytes > PAGE_BYTES
  }

  /** Drivers in C, then the product. */
  run(work: Work, backend: Loops, batchSize: number, effort: Effort): Comparison {
    const contestants = [...this.peers(work, batchSize), this.contestant(work, backend, batchSize)]
    const comparison = compare(contestants, effort)
    const errors = this.plugged.reduce((sum, cards) => sum + cards.errors(), 0)
    releaseBlock(this.memory)
    if (errors > 0) throw new Error(`${errors} packets did not come out as they should`)
    return comparison
  }

  protected abstract peers(work: Work, batchSize: number): Contestant[]

  /** The product's own code. */
  abstract contestant(work: Work, backend: Loops, batchSize: number): Contestant

  protected take(bytes: number): bigint {
    const address = this.memory.address + BigInt(this.taken)
    this.taken += bytes
    return address
  }

  protected plug(cards: Cards): Cards {
    this.plugged.push(cards)
    return cards
  }

  protected c(
    name: string,
    work: Work,
    batchSize: number,
    cards: Cards,
    run: (steps: number, limit: number) => number,
  ): Contestant {
    const { steps, packets, receiving, full } = extent(work, batchSize)
    return {
      name,
      round() {
        cards.begin(receiving, full)
        return run(steps, batchSize) / packets
      },
    }
  }

  /** Packet memory of the product, and at which address the cards are to see what is at another. */
  protected productMemory(backend: Loops): { memory: PacketMemory; seen: (address: bigint) => bigint } {
    const address = this.take(poolBytes())
    const space = backend === 'wasm' ? new WasmSpace(this.memory) : null
    // A CPU finds a line in its first cache by the virtual address: what was written at one and is read at the other
    // is slower (Zen) than what a card, or another core, has written. So the stand-in cards use the same mapping.
    const start = space === null ? 0n : addressOf(space.buffer)
    const seen = (at: bigint): bigint => (space === null ? at : start + BigInt(space.offsetOf(at)))
    const spec = {
      address,
      pageIovas: new Float64Array([Number(seen(address))]),
      pageBytes: 2 ** Math.ceil(Math.log2(poolBytes())),
      pageOffset: 0,
      bufferShift: BUFFER_SHIFT,
      poolShift: POOL_SHIFT,
      pools: POOLS,
      ...((backend === 'offloads' || backend === 'open') && { offloads: UNDERSTOOD }),
    }
    return { memory: new PacketMemory(spec, space), seen }
  }

  protected product(
    work: Work,
    batchSize: number,
    memory: PacketMemory,
    cards: Cards,
    queues: readonly { readonly rx: RxQueue; readonly tx: TxQueue }[],
  ): Contestant {
    const [a, b] = queues.map(({ rx, tx }) => new DataPort(rx, tx))
    const batch = memory.batch(batchSize)
    const step = makeStep(memory, a, b, batchSize, true, [])
    const source = new GeneratedFrames(memory, POOLS - 1, planFrames(DEFAULT_TEMPLATE, [FRAME]), {
      index: 0,
      of: 1,
    })
    const send = makeSender(memory, a.tx, source, batchSize, null)
    const { steps, packets, receiving, full } = extent(work, batchSize)
    const runs = {
      forward: () => {
        for (let i = 0; i < steps; i++) step()
      },
      receive: () => {
        for (let i = 0; i < steps; i++) memory.free(batch, 0, a.rx.receive(batch, batchSize))
      },
      generate: () => {
        for (let i = 0; i < steps; i++) send(batchSize)
      },
    }
    const run = runs[work]
    return {
      name: 'ours',
      round() {
        cards.begin(receiving, full)
        run()
        return cards.end() / packets
      },
    }
  }
}

/** Of all pools, `buffers` each. */
export function poolBytes(buffers = 1 << POOL_SHIFT): number {
  return (POOLS * buffers) << BUFFER_SHIFT
}

/**
 * What one round consists of: `steps` calls for each direction; before, the first `receiving` cards receive `full`
 * packets each. Not quite a full ring: ixy frees transmitted packets by the 32 only, and may leave that many in it.
 */
function extent(
  work: Work,
  batchSize: number,
): { steps: number; packets: number; receiving: number; full: number } {
  const steps = Math.floor((RING - 32) / batchSize)
  const full = steps * batchSize
  const receiving = { forward: 2, receive: 1, generate: 0 }[work]
  return { steps, packets: work === 'forward' ? 2 * full : full, receiving, full }
}
