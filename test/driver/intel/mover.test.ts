/** The step in one call does what the calls of the queues do: the same cards, once with each. */
import fc from 'fast-check'
import { makeMover } from '../../../src/apps/forward/app.ts'
import { PLAIN_STATUS } from '../../../src/driver/doorbell.ts'
import { RX_DD, RX_EOP } from '../../../src/driver/intel/descriptors.ts'
import { makeRings } from '../../../src/driver/intel/queues.ts'
import { StandInCard } from '../../../src/driver/intel/stand-in.ts'
import { DataPort } from '../../../src/engine/data-plane.ts'
import type { Backend } from '../../../src/engine/types.ts'
import { viewOf } from '../../../src/linux/mapping.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'
import { WasmSpace } from '../../../src/memory/wasm-space.ts'

const POOL_SHIFT = 6
const POOL = 1 << POOL_SHIFT
const MOST_ENTRIES = 64
const BUFFER_SHIFT = 11
const TOUCHED = 48
const COMPLETE = RX_DD | RX_EOP
// On other machines TypeScript's queues are not moved together (driver/doorbell.ts).
const BACKENDS: readonly Backend[] = PLAIN_STATUS ? ['ts', 'wasm'] : ['wasm']

/** Two cards with rings, a forwarder between them, and all that can be seen of them from outside. */
class Bench {
  readonly memory: PacketMemory
  readonly step: () => number
  private readonly cards: readonly StandInCard[]
  readonly ports: readonly DataPort[]
  private readonly descriptors: readonly Uint32Array[]
  private readonly sent: string[] = []
  private readonly kept = new Int32Array(POOL)

  constructor(
    backend: Backend,
    together: boolean,
    entries: readonly number[],
    batchSize: number,
    touch: boolean,
  ) {
    const arena = new DmaArena(1 << 20, false)
    const rings = entries.map((count) => ({ address: arena.take(MOST_ENTRIES * 16).address, entries: count }))
    const spec = arena.takePackets(BUFFER_SHIFT, POOL_SHIFT, 2)
    const iovas = { pageIovas: new Float64Array([0]), pageBytes: 1 << 20, pageOffset: 0 }
    this.memory = new PacketMemory(
      { ...spec, ...iovas },
      backend === 'wasm' ? new WasmSpace(arena.file) : null,
    )
    const views = rings.map(({ address, entries: count }) => viewOf(address, count * 16))
    this.descriptors = [1, 3].map((i) => new Uint32Array(views[i]))
    // Behind the end of a ring is what looks like packets: nobody is to look there.
    for (const { address, entries: count } of [rings[0], rings[2]]) {
      const words = new Uint32Array(viewOf(address, MOST_ENTRIES * 16))
      for (let at = count * 4; at < words.length; at += 4) words.set([0, 0, COMPLETE, 60], at)
    }
    this.cards = [0, 2].map((i) => new StandInCard(views[i], views[i + 1]))
    this.ports = this.cards.map(({ tails }, i) => {
      const { rx, tx } = makeRings(this.memory, i, rings[2 * i], rings[2 * i + 1])
      rx.start(tails, 0)
      tx.start(tails, 1)
      return new DataPort(rx, tx)
    })
    const [a, b] = this.ports
    if (together) {
      const touched = touch ? TOUCHED : null
      const step = a.tx.mover?.([
        { from: a.rx, to: b.tx, most: batchSize, touched },
        { from: b.rx, to: a.tx, most: batchSize, touched },
      ])
      if (typeof step !== 'function') throw new Error('these queues can be moved together')
      this.step = step
    } else {
      const there = makeMover(this.memory, a, b, batchSize, touch)
      const back = makeMover(this.memory, b, a, batchSize, touch)
      this.step = () => there() + back()
    }
  }

  /** A packet whose bytes are `fill`. */
  receive(port: number, length: number, status: number, fill: number): void {
    const card = this.cards[port]
    if (card.armed === 0) return
    const at = card.writeBack(length, status)
    this.memory.u8.fill(fill, at, at + 64)
  }

  /** Which buffers are free and which are armed may differ where packets were dropped; what is in them may not. */
  transmit(port: number): void {
    const card = this.cards[port]
    const tx = this.descriptors[port]
    while (card.waiting > 0) {
      const word = card.send()
      const { u8 } = this.memory
      const bytes = u8.subarray(tx[word], tx[word] + 64)
      this.sent.push(`${port}: ${tx[word + 2] & 0xffff} ${bytes[0]} ${bytes[TOUCHED]} ${bytes[20]}`)
    }
  }

  /** Takes as many buffers away from a pool as it has, but `left`; or gives them back. */
  starve(pool: number, left: number): void {
    const taken = this.memory.allocate(pool, this.kept, this.memory.available(pool) - left)
    this.step()
    this.memory.free(this.kept, 0, taken)
  }

  get seen(): unknown {
    return {
      sent: this.sent.splice(0),
      tails: this.cards.map(({ tails }) => [...tails]),
      free: [0, 1].map((pool) => this.memory.available(pool)),
      queues: this.ports.map(({ rx, tx }) => [
        rx.packets,
        rx.bytes,
        rx.poolEmpty,
        rx.fragments,
        rx.badLength,
        rx.untaken(),
        tx.packets,
        tx.bytes,
        tx.pending(),
      ]),
    }
  }
}

const LENGTHS = [60, 60, 60, 60, 61, 1514, 17, 16, 1, 0, 0xffff, 1536, 1537]
const port = fc.nat(1)
const action = fc.oneof(
  fc.record({
    kind: fc.constant('receive' as const),
    port,
    packets: fc.array(
      fc.record({
        length: fc.constantFrom(...LENGTHS),
        status: fc.constantFrom(COMPLETE, COMPLETE, COMPLETE, COMPLETE, COMPLETE, RX_DD),
      }),
      { maxLength: 40 },
    ),
  }),
  // All of them as usual, so that groups are as well.
  fc.record({ kind: fc.constant('many' as const), port, count: fc.nat(MOST_ENTRIES) }),
  fc.record({ kind: fc.constant('transmit' as const), port }),
  fc.record({ kind: fc.constant('step' as const) }),
  fc.record({ kind: fc.constant('starve' as const), port, left: fc.nat(10) }),
)

test.each(BACKENDS)(
  '%s: a step in one call does the same as a step of many, whatever the cards do',
  (backend) => {
    const entries = fc.constantFrom(8, 16, 32)
    fc.assert(
      fc.property(
        fc.tuple(entries, entries, entries, entries),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        fc.array(action, { minLength: 5, maxLength: 60 }),
        (sizes, batchSize, touch, actions) => {
          const benches = [false, true].map(
            (together) => new Bench(backend, together, sizes, batchSize, touch),
          )
          let fill = 0
          for (const act of [...actions, { kind: 'step' } as const]) {
            const [apart, together] = benches.map((bench) => {
              let moved = 0
              if (act.kind === 'receive') {
                for (const [i, { length, status }] of act.packets.entries())
                  bench.receive(act.port, length, status, fill + i)
              } else if (act.kind === 'many') {
                for (let i = 0; i < act.count; i++) bench.receive(act.port, 60 + (i % 3), COMPLETE, fill + i)
              } else if (act.kind === 'transmit') bench.transmit(act.port)
              else if (act.kind === 'starve') bench.starve(act.port, act.left)
              else moved = bench.step()
              return { moved, seen: bench.seen }
            })
            fill += 41
            expect(together).toEqual(apart)
          }
        },
      ),
      { numRuns: 60 },
    )
  },
  60_000,
)

test.each(BACKENDS)('%s: a direction that fails takes nothing back from the one before it', (backend) => {
  const bench = new Bench(backend, true, [8, 8, 8, 8], 4, false)
  bench.receive(1, 60, COMPLETE, 1)
  expect(bench.step()).toBe(1)
  bench.transmit(0)
  // As if something had been freed twice: the pool has no room for the packet that was sent.
  bench.memory.freeTop[1] = POOL
  bench.receive(0, 60, COMPLETE, 2)
  expect(bench.step).toThrow('a pool that is full')
  bench.transmit(1)
  expect((bench.seen as { sent: string[] }).sent).toEqual(['0: 60 1 1 1', '1: 60 2 2 2'])
})

test.each(BACKENDS)('%s: queues of two kinds, or of two memories, are not moved together', (backend) => {
  const bench = (): Bench => new Bench(backend, false, [8, 8, 8, 8], 8, false)
  const [one, other] = [bench(), bench()]
  const { rx } = other.ports[0]
  const { tx } = one.ports[1]
  expect(tx.mover?.([{ from: rx, to: tx, most: 8, touched: null }])).toBeNull()
  for (const kind of BACKENDS) {
    const [a, b] = new Bench(kind, false, [8, 8, 8, 8], 8, false).ports
    const mine = { from: b.rx, to: a.tx, most: 8, touched: null }
    if (kind !== backend) expect(tx.mover?.([mine])).toBeNull()
  }
  const checked = { ...one.ports[0].rx, receive: rx.receive, untaken: rx.untaken }
  expect(tx.mover?.([{ from: checked, to: tx, most: 8, touched: null }])).toBeNull()
})
