/** Packets that a queue makes by itself are those that a source makes, in the same order: the same cards, once with each. */
import fc from 'fast-check'
import { type FrameSource, GeneratedFrames } from '../../../src/apps/pktgen/frame-source.ts'
import { makeSender } from '../../../src/apps/pktgen/sender.ts'
import { StreamFrames } from '../../../src/apps/pktgen/stream-source.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import type { Shape } from '../../../src/apps/pktgen/templates/shape.ts'
import { makeRings } from '../../../src/driver/intel/queues.ts'
import { StandInCard } from '../../../src/driver/intel/stand-in.ts'
import type { TxQueue } from '../../../src/driver/device.ts'
import { MonotonicClock } from '../../../src/linux/monotonic.ts'
import { viewOf } from '../../../src/linux/mapping.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'
import { WasmSpace } from '../../../src/memory/wasm-space.ts'
import { DEFAULT_TEMPLATE } from '../../../src/packet/template.ts'
import { shapes } from '../../apps/pktgen/shapes.ts'

const POOL_SHIFT = 6
const POOL = 1
const MOST_ENTRIES = 64
const BUFFER_SHIFT = 11

const WHOLE = { index: 0, of: 1 }

/** A card with rings, a generator behind it, and all that can be seen of them from outside. */
class Bench {
  readonly send: (wanted: number) => number
  readonly tx: TxQueue
  readonly memory: PacketMemory
  private readonly source: FrameSource
  private readonly card: StandInCard
  private readonly descriptors: Uint32Array
  private readonly sent: string[] = []
  private readonly kept = new Int32Array(1 << POOL_SHIFT)

  /** `alone`: the queue makes them. */
  constructor(alone: boolean, entries: number, shaped: readonly Shape[], share: typeof WHOLE) {
    const arena = new DmaArena(1 << 20, false)
    const rings = [16, entries].map((n) => ({ address: arena.take(MOST_ENTRIES * 16).address, entries: n }))
    const spec = arena.takePackets(BUFFER_SHIFT, POOL_SHIFT, 2)
    const iovas = { pageIovas: new Float64Array([0]), pageBytes: 1 << 20, pageOffset: 0 }
    const memory = new PacketMemory({ ...spec, ...iovas }, new WasmSpace(arena.file))
    const views = rings.map(({ address, entries: n }) => viewOf(address, n * 16))
    this.descriptors = new Uint32Array(views[1])
    this.card = new StandInCard(views[0], views[1])
    const { tx } = makeRings(memory, 0, rings[0], rings[1])
    tx.start(this.card.tails, 1)
    this.memory = memory
    this.tx = tx
    const plans = shaped.map(({ template, sizes, counts, order, seed }) =>
      planFrames(template, sizes, counts, order, seed),
    )
    const streams = plans.map((plan, i) => ({
      plan,
      rate: null,
      limitOnly: false,
      share: i + 1,
      count: null,
    }))
    const source =
      plans.length === 1
        ? new GeneratedFrames(memory, POOL, plans[0], share)
        : new StreamFrames(memory, POOL, streams, share, new MonotonicClock())
    this.send = makeSender(
      memory,
      alone ? tx : { ...tx, packets: 0, bytes: 0, generator: undefined },
      source,
      MOST_ENTRIES,
      null,
    )
    this.source = source
  }

  /** The card sends up to so many packets. */
  transmit(count: number): void {
    for (; count > 0 && this.card.waiting > 0; count--) {
      const word = this.card.send()
      const [at, , command, status] = this.descriptors.subarray(word, word + 4)
      const bytes = Buffer.from(this.memory.u8.subarray(at, at + (command & 0xffff)))
      this.sent.push(`${(command >>> 0).toString(16)} ${status >>> 4} ${bytes.toString('hex')}`)
    }
  }

  /** With as many buffers in the pool as `left`. */
  starve(left: number, wanted: number): number {
    const taken = this.memory.allocate(POOL, this.kept, this.memory.available(POOL) - left)
    const made = this.send(wanted)
    this.memory.free(this.kept, 0, taken)
    return made
  }

  get seen() {
    const { tx } = this
    return {
      sent: this.sent.splice(0),
      tail: this.card.tails[1],
      free: this.memory.available(POOL),
      made: this.source.sentOfEach,
      counted: [tx.packets, tx.bytes, tx.pending()],
    }
  }
}

const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), wanted: fc.nat(40) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('transmit' as const), count: fc.nat(MOST_ENTRIES) }),
  },
  fc.record({ kind: fc.constant('starve' as const), left: fc.nat(10), wanted: fc.nat(40) }),
)
/** What pktgen sends without options, or with ports that take turns: no checksum has to be made anew. */
const plain = fc
  .record({
    sizes: fc.constantFrom([60], [61], [60, 1514, 61]),
    counts: fc.constantFrom({}, { sourcePort: 100 }),
  })
  .map((shape): Shape => ({ template: DEFAULT_TEMPLATE, ...shape, order: 'turn', seed: 0 }))
/** Also from numbers on at which halves of them are full. */
const share = fc.integer({ min: 1, max: 5 }).chain((of) =>
  fc.record({
    index: fc.oneof(fc.nat(of - 1), fc.constantFrom(65_500, 2 ** 32 - 40)),
    of: fc.constant(of),
  }),
)

test('a queue makes the packets that a source makes, whatever the card does', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(8, 16, 64),
      fc.array(fc.oneof(shapes, plain), { minLength: 1, maxLength: 3 }),
      share,
      fc.array(action, { minLength: 5, maxLength: 40 }),
      (entries, shaped, part, actions) => {
        const benches = [false, true].map((alone) => new Bench(alone, entries, shaped, part))
        for (const act of [...actions, { kind: 'transmit', count: MOST_ENTRIES } as const]) {
          const [made, alone] = benches.map((bench) => {
            let moved = 0
            if (act.kind === 'send') moved = bench.send(act.wanted)
            else if (act.kind === 'transmit') bench.transmit(act.count)
            else moved = bench.starve(act.left, act.wanted)
            return { moved, seen: bench.seen }
          })
          expect(alone).toEqual(made)
        }
      },
    ),
    { numRuns: 60 },
  )
}, 60_000)

test('a UDP checksum that comes out as 0 is written as 0xffff', () => {
  const template = { ...DEFAULT_TEMPLATE, udpChecksum: true }
  const { transport } = planFrames(template, [60])
  if (transport === null) throw new Error('no checksum')
  // The number whose bytes, turned round, make the sum up to 0xffff.
  const missing = 0xffff - (transport.sums[0] % 0xffff)
  const index = ((missing & 0xff) << 8) | (missing >> 8)
  const shape = { template, sizes: [60], counts: {}, order: 'turn', seed: 0 } as const
  const [made, alone] = [false, true].map((by) => {
    const bench = new Bench(by, 16, [shape], { index, of: 1 })
    bench.send(1)
    bench.transmit(1)
    return bench.seen.sent[0].split(' ')[2]
  })
  expect(made.slice(transport.offset * 2, transport.offset * 2 + 4)).toBe('ffff')
  expect(alone).toBe(made)
})

test.each([
  ['plain packets', [60], {}],
  ['sizes that take turns', [60, 1514, 61], {}],
  ['flows', [60], { sourcePort: 100 }],
  ['addresses and their checksums', [60], { sourceIp: 100 }],
])('the queue makes %s by itself', (_, sizes, counts) => {
  const { memory, tx } = new Bench(true, 16, [], WHOLE)
  const plan = planFrames(DEFAULT_TEMPLATE, sizes, counts)
  expect(new GeneratedFrames(memory, POOL, plan, WHOLE).sender(tx)).not.toBeNull()
})

test('templates for which there is no room are left to the source', () => {
  const { memory, tx } = new Bench(true, 16, [], WHOLE)
  const of = (size: number): ReturnType<GeneratedFrames['sender']> =>
    new GeneratedFrames(memory, POOL, planFrames(DEFAULT_TEMPLATE, [size]), WHOLE).sender(tx)
  expect(of(memory.longest)).not.toBeNull()
  expect(of(memory.longest + 1)).toBeNull()
  const many = planFrames(
    DEFAULT_TEMPLATE,
    Array.from({ length: 64 }, (_, i) => 1450 + i),
  )
  const made = Array.from({ length: 20 }, () => new GeneratedFrames(memory, POOL, many, WHOLE).sender(tx))
  expect([made.at(0), made.at(-1)]).toEqual([expect.any(Function), null])
})
