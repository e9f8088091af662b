/**
 * The driver's share: nanoseconds per packet of receive and transmit code alone, on two device pairs, beside drivers
 * in C on the same work.
 */
import { makeMover } from '../src/apps/forward/app.ts'
import { GeneratedFrames } from '../src/apps/pktgen/frame-source.ts'
import { makeRings } from '../src/driver/intel/queues.ts'
import { DataPort } from '../src/engine/data-plane.ts'
import type { Backend } from '../src/engine/types.ts'
import { type HugepageBlock, allocateShared, releaseBlock } from '../src/linux/hugepages.ts'
import { PAGE_BYTES, addressOf, viewOf } from '../src/linux/mapping.ts'
import { PacketMemory } from '../src/memory/packets.ts'
import { WasmSpace } from '../src/memory/wasm-space.ts'
import { DEFAULT_TEMPLATE, planFrames } from '../src/packet/template.ts'
import { type Comparison, type Contestant, type Effort, compare } from './lib/measure.ts'
import type { Handle, Native } from './lib/native.ts'

const RING = 512
const FRAME = 60
const BUFFER_SHIFT = 11
const POOL_SHIFT = 11
const POOLS = 3
/** ixy takes at least so many. */
const IXY_POOL = 4096
const DESCRIPTORS = 4 * RING * 16

export type Work = 'forward' | 'receive' | 'generate'

export class DriverShare {
  readonly hugepages: boolean
  private readonly native: Native
  private readonly memory: HugepageBlock
  private taken = 0
  private readonly plugged: Handle[] = []

  constructor(native: Native) {
    this.native = native
    const buffers = (POOLS * IXY_POOL + 2 * (POOLS << POOL_SHIFT)) << BUFFER_SHIFT
    this.memory = allocateShared(buffers + 8 * 3 * DESCRIPTORS)
    this.hugepages = this.memory.pageBytes > PAGE_BYTES
  }

  /** C with ixy's layout, C with ours, and the product, in this order. */
  run(work: Work, backend: Backend, batchSize: number, effort: Effort): Comparison {
    const contestants = [
      this.ixy(work, batchSize),
      this.own(work, batchSize),
      this.contestant(work, backend, batchSize),
    ]
    const comparison = compare(contestants, effort)
    const errors = this.plugged.reduce((sum, cards) => sum + this.native.benchErrors(cards), 0)
    releaseBlock(this.memory)
    if (errors > 0) throw new Error(`${errors} packets did not come out as they should`)
    return comparison
  }

  private take(bytes: number): bigint {
    const address = this.memory.address + BigInt(this.taken)
    this.taken += bytes
    return address
  }

  /** `seen`: at which address the cards are to see memory. */
  private cards(
    work: Work,
    seen = (address: bigint): bigint => address,
  ): { cards: Handle; rings: bigint; tails: bigint } {
    const tails = this.take(4096)
    const rings = this.take(DESCRIPTORS)
    new Uint8Array(viewOf(rings, DESCRIPTORS)).fill(0)
    new Uint8Array(viewOf(tails, 4096)).fill(0)
    const cards = this.native.benchNew(seen(rings), RING, tails, FRAME, work === 'forward' ? 1 : 0)
    this.plugged.push(cards)
    return { cards, rings, tails }
  }

  private c(
    name: string,
    work: Work,
    batchSize: number,
    cards: Handle,
    run: (steps: number, limit: number) => number,
  ): Contestant {
    const { native } = this
    const { steps, packets, receiving, full } = extent(work, batchSize)
    return {
      name,
      round() {
        native.benchBegin(cards, receiving, full)
        return run(steps, batchSize) / packets
      },
    }
  }

  private ixy(work: Work, batchSize: number): Contestant {
    const { native } = this
    const buffers = this.take((POOLS * IXY_POOL) << BUFFER_SHIFT)
    const { cards } = this.cards(work)
    const driver = native.ixyNew(native.benchPort(cards, 0), buffers, IXY_POOL)
    const run = { forward: native.ixyForward, receive: native.ixyReceive, generate: native.ixyGenerate }[work]
    return this.c('C, ixy layout', work, batchSize, cards, (steps, limit) => run(driver, steps, limit))
  }

  private own(work: Work, batchSize: number): Contestant {
    const { native } = this
    const buffers = this.take((POOLS << POOL_SHIFT) << BUFFER_SHIFT)
    const { cards } = this.cards(work)
    const driver = native.ownNew(native.benchPort(cards, 0), buffers, POOL_SHIFT)
    const run = { forward: native.ownForward, receive: native.ownReceive, generate: native.ownGenerate }[work]
    return this.c('C, own layout', work, batchSize, cards, (steps, limit) => run(driver, steps, limit))
  }

  /** The product's own code. */
  contestant(work: Work, backend: Backend, batchSize: number): Contestant {
    const { native } = this
    const bytes = (POOLS << POOL_SHIFT) << BUFFER_SHIFT
    const address = this.take(bytes)
    const space = backend === 'wasm' ? new WasmSpace(this.memory) : null
    // A CPU finds a line in its first cache by the virtual address: what was written at one and is read at the other
    // is slower (Zen) than what a card, or another core, has written. So the stand-in cards use the same mapping.
    const start = space === null ? 0n : addressOf(space.buffer)
    const seen = (at: bigint): bigint => (space === null ? at : start + BigInt(space.offsetOf(at)))
    const { cards, rings, tails } = this.cards(work, seen)
    const spec = {
      address,
      pageIovas: new Float64Array([Number(seen(address))]),
      pageBytes: 2 ** Math.ceil(Math.log2(bytes)),
      pageOffset: 0,
      bufferShift: BUFFER_SHIFT,
      poolShift: POOL_SHIFT,
      pools: POOLS,
    }
    const memory = new PacketMemory(spec, space)
    const registers = new Int32Array(viewOf(tails, 4096))
    const ports = [0, 1].map((i) => {
      const ring = (n: number): { address: bigint; entries: number } => ({
        address: rings + BigInt(n * RING * 16),
        entries: RING,
      })
      const { rx, tx } = makeRings(memory, i, ring(2 * i), ring(2 * i + 1))
      rx.start(registers, 2 * i)
      tx.start(registers, 2 * i + 1)
      return new DataPort(rx, tx)
    })
    const [a, b] = ports
    const batch = memory.batch(batchSize)
    const there = makeMover(memory, a, b, batchSize, true)
    const back = makeMover(memory, b, a, batchSize, true)
    const source = new GeneratedFrames(memory, POOLS - 1, planFrames(DEFAULT_TEMPLATE, [FRAME], 1), {
      index: 0,
      of: 1,
    })
    const { steps, packets, receiving, full } = extent(work, batchSize)
    const runs = {
      forward: () => {
        for (let i = 0; i < steps; i++) {
          there()
          back()
        }
      },
      receive: () => {
        for (let i = 0; i < steps; i++) memory.free(batch, 0, a.rx.receive(batch, batchSize))
      },
      generate: () => {
        for (let i = 0; i < steps; i++) {
          a.tx.transmit(batch, 0, source.next(batch, Math.min(a.tx.room(), batchSize)))
        }
      },
    }
    const run = runs[work]
    return {
      name: 'ours',
      round() {
        native.benchBegin(cards, receiving, full)
        run()
        return native.benchEnd(cards) / packets
      },
    }
  }
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
