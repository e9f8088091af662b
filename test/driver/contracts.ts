/**
 * What receive, transmit, free and allocate promise for every input, the same in both languages of the rings and for every kind of
 * them: whatever an app asks for, all do the same, and no packet is lost, sent or given away twice by it.
 */
import fc from 'fast-check'
import type { RxQueue, TxQueue } from '../../src/driver/device.ts'
import { IxyError } from '../../src/errors.ts'
import type { PacketMemory } from '../../src/memory/packets.ts'

/** Packets that each ring has room for; one less may be under way. */
export const ENTRIES = 16
/** A pool has twice as many as a ring, so that it is often empty while packets come in. */
export const POOL_SHIFT = 5
export const POOL = 1 << POOL_SHIFT
export const POOLS = 2
export const BUFFERS = POOLS * POOL
/** Whatever a call leaves alone in an array. */
const UNTOUCHED = -7

/** Rings with memory and a card of their own, and the packets that an app holds. */
export interface World {
  readonly name: string
  readonly memory: PacketMemory
  readonly rx: RxQueue
  readonly tx: TxQueue
  /** Ids, in the order in which they came. */
  readonly held: number[]
  /** Where the WebAssembly loops reach it. */
  readonly near: Int32Array
  /** As it was when it was made. */
  begin(): void
  /** The card receives a packet, or a part of one, of `length` bytes. */
  deliver(length: number, whole: boolean): void
  /** The card sends up to `count` packets. Returns marks and lengths. */
  send(count: number): unknown[]
  /** Makes it a packet of the app's. */
  mark(id: number): void
  /** What can be seen from outside, buffers by their marks. */
  state(): unknown
  /** Every buffer is in one place: ids of those that aren't. After the card has sent all, and pending(). */
  astray(): number[]
}

/** An array for a call, where the WebAssembly loops reach it or elsewhere. */
function arrayOf(world: World, near: boolean, ids: readonly number[]): Int32Array {
  const array = near ? world.near.subarray(0, ids.length) : new Int32Array(ids.length)
  array.set(ids)
  return array
}

/** What a call gives back or throws, with no id in it. */
function outcome(call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    if (!(error instanceof IxyError)) throw error
    return [error.code, error.message.replace(/packet \d+/, 'packet')]
  }
}

/** The part of an array that a call is about, by its documentation. */
function covered(from: number, count: number, length: number): [number, number] {
  if (Number.isNaN(from) || from < 0 || from >= length || Number.isNaN(count) || count < 1) return [0, 0]
  const first = Math.floor(from)
  return [first, Math.min(length, first + Math.floor(count))]
}

const number = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: ENTRIES }) },
  { weight: 2, arbitrary: fc.integer({ min: -3, max: 80 }) },
  fc.constantFrom(NaN, Infinity, -Infinity, 0.5, -0.5, 2.75, 2 ** 31, -(2 ** 31) - 1, 2 ** 32 + 1, 1e300),
)
const pool = fc.oneof(
  { weight: 8, arbitrary: fc.nat(POOLS - 1) },
  fc.constantFrom(POOLS, -1, NaN, 0.5, 2 ** 32),
)
const near = fc.boolean()
/** An id that is none, at some index. */
const stranger = fc.oneof(
  { weight: 7, arbitrary: fc.constant(null) },
  {
    weight: 1,
    arbitrary: fc.record({
      at: fc.nat(8),
      id: fc.constantFrom(BUFFERS, -1, 65535, 65536, 65536 + 3, 2 ** 31 - 1, -(2 ** 31)),
    }),
  },
)
/** Where in an array a call begins: mostly at its first place, so that something is covered. */
const from = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: number })
const given = { near, from, count: number, take: fc.nat(24), pick: fc.nat(), stranger }
const call = fc.oneof(
  fc.record({
    kind: fc.constant('deliver' as const),
    lengths: fc.array(
      fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 1536 }) }, fc.constantFrom(0, 1537, 0xffff)),
      { maxLength: ENTRIES },
    ),
    part: fc.nat(100),
  }),
  fc.record({ kind: fc.constant('receive' as const), near, length: fc.nat(40), limit: number }),
  fc.record({ kind: fc.constant('allocate' as const), near, length: fc.nat(80), pool, count: number }),
  fc.record({ kind: fc.constant('free' as const), ...given }),
  fc.record({
    kind: fc.constant('transmit' as const),
    ...given,
    size: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 17, max: 1536 }) },
      { weight: 3, arbitrary: fc.nat(16) },
      fc.constantFrom(1537, 65535),
    ),
  }),
  fc.record({ kind: fc.constant('send' as const), count: fc.nat(ENTRIES) }),
  fc.constant({ kind: 'room' as const }),
  fc.constant({ kind: 'pending' as const }),
)

/** Makes the call; returns all that an app and a card can tell of it. */
function perform(world: World, step: typeof call extends fc.Arbitrary<infer Step> ? Step : never): unknown {
  const { memory, rx, tx, held } = world
  switch (step.kind) {
    case 'deliver':
      step.lengths.forEach((length, i) => world.deliver(length, i !== step.part))
      return world.state()
    case 'receive': {
      const batch = arrayOf(world, step.near, new Array<number>(step.length).fill(UNTOUCHED))
      const count = rx.receive(batch, step.limit)
      expect(count).toBeLessThanOrEqual(step.length)
      held.push(...batch.subarray(0, count))
      // Packets that are dropped may leave their ids where others could have stood.
      const [, end] = covered(0, step.limit, step.length)
      return [count, [...batch.subarray(end)], world.state()]
    }
    case 'allocate': {
      const ids = arrayOf(world, step.near, new Array<number>(step.length).fill(UNTOUCHED))
      const count = outcome(() => memory.allocate(step.pool, ids, step.count))
      if (typeof count !== 'number') return [count, [...ids], world.state()]
      expect(count).toBeLessThanOrEqual(step.length)
      ids.subarray(0, count).forEach((id) => world.mark(id))
      held.push(...ids.subarray(0, count))
      return [count, [...ids.subarray(count)], world.state()]
    }
    case 'free':
    case 'transmit': {
      const start = held.length === 0 ? 0 : step.pick % held.length
      const ids = held.slice(start, start + step.take)
      if (step.kind === 'transmit' && ids.length > 0) memory.size[ids[step.pick % ids.length]] = step.size
      if (step.stranger !== null) ids.splice(step.stranger.at, 0, step.stranger.id)
      const batch = arrayOf(world, step.near, ids)
      const [first, end] = covered(step.from, step.count, ids.length)
      const result = outcome(() =>
        step.kind === 'free'
          ? memory.free(batch, step.from, step.count)
          : tx.transmit(batch, step.from, step.count),
      )
      expect([...batch]).toEqual(ids)
      // How much of what has been sent a call frees is its own affair; what differed in that would differ in all that follows.
      if (step.kind === 'transmit') tx.room()
      let gone = ids.slice(first, end)
      if (step.kind === 'transmit') gone = typeof result === 'number' ? gone.slice(0, result) : []
      else if (result !== undefined) gone = []
      for (const id of gone) held.splice(held.indexOf(id), 1)
      return [result, world.state()]
    }
    case 'send':
      return world.send(step.count)
    case 'room':
      return [tx.room(), world.state()]
    case 'pending':
      return [tx.pending(), world.state()]
  }
}

/** The tests. All of `worlds` must do the same, in `runs` runs. */
export function keepContracts(worlds: readonly World[], runs: number): void {
  test('whatever is asked for in whatever order, all do the same and no buffer is lost or in two places', () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60, size: 'max' }), (steps) => {
        for (const world of worlds) world.begin()
        for (const step of steps) {
          const [first, ...others] = worlds.map((world) => perform(world, step))
          for (const other of others) expect(other).toEqual(first)
        }
        for (const world of worlds) {
          world.send(ENTRIES)
          expect(world.tx.pending()).toBe(0)
          perform(world, { kind: 'receive', near: true, length: ENTRIES, limit: ENTRIES })
          expect(world.astray()).toEqual([])
        }
      }),
      { numRuns: runs },
    )
  })

  describe.each(worlds.map((world) => ({ name: world.name, world })))('$name', ({ world }) => {
    const { memory, rx, tx } = world

    beforeEach(() => world.begin())

    describe.each([true, false])('arrays where the loops reach them: %s', (near) => {
      const array = (length: number): Int32Array =>
        arrayOf(world, near, new Array<number>(length).fill(UNTOUCHED))

      test('receive takes no more packets than the array holds', () => {
        for (let i = 0; i < 6; i++) world.deliver(60, true)
        const batch = array(4)
        expect(rx.receive(batch, 32)).toBe(4)
        expect(rx.untaken()).toBe(2)
        expect(rx.receive(batch, Infinity)).toBe(2)
        expect(rx.untaken()).toBe(0)
        expect(memory.available(0)).toBe(POOL - ENTRIES - 6)
      })

      test.each([0, -1, NaN, -Infinity, 0.9])('receive with a limit of %d takes nothing', (limit) => {
        for (let i = 0; i < 6; i++) world.deliver(60, true)
        expect(rx.receive(array(8), limit)).toBe(0)
        expect(rx.packets).toBe(0)
      })

      test('transmit sends what the array holds, once', () => {
        const batch = array(3)
        memory.allocate(1, batch, 3)
        expect(tx.transmit(batch, 1, 8)).toBe(2)
        expect(world.send(ENTRIES)).toHaveLength(2)
        expect(tx.transmit(batch, 3, 1)).toBe(0)
        expect(tx.transmit(batch, 0, 1)).toBe(1)
        expect(tx.pending()).toBe(1)
      })

      test.each([
        [-1, 2],
        [NaN, 2],
        [3, 2],
        [0, -1],
        [0, NaN],
        [0, 0.5],
        [2 ** 32, 1],
      ])('transmit and free from %d on, %d of them: nothing', (from, count) => {
        const batch = array(3)
        memory.allocate(1, batch, 3)
        expect(tx.transmit(batch, from, count)).toBe(0)
        memory.free(batch, from, count)
        expect([tx.pending(), memory.available(1)]).toEqual([0, POOL - 3])
      })

      test('a packet that is none is sent by nobody, nor is what is beside it', () => {
        const batch = array(6)
        memory.allocate(1, batch, 6)
        for (const id of [BUFFERS, -1, 65536 + BUFFERS - 1]) {
          batch[4] = id
          expect(() => tx.transmit(batch, 0, 6)).toThrow(
            new RegExp(`^transmit: ${id} is no packet: ids go from 0 to ${BUFFERS - 1}; correct`),
          )
          expect(() => memory.free(batch, 0, 6)).toThrow(`free: ${id} is no packet`)
        }
        expect(tx.pending()).toBe(0)
        expect(tx.packets).toBe(0)
        expect(memory.available(1)).toBe(POOL - 6)
      })

      test('a packet said to be longer than its buffer is sent by nobody, nor is what is beside it', () => {
        const batch = array(6)
        memory.allocate(1, batch, 6)
        memory.size[batch[5]] = memory.longest + 1
        expect(() => tx.transmit(batch, 0, 6)).toThrow(
          `packet ${batch[5]} is said to have 1537 bytes, its buffer holds 1536`,
        )
        expect(tx.pending()).toBe(0)
        memory.size[batch[5]] = memory.longest
        expect(tx.transmit(batch, 0, 6)).toBe(6)
      })

      test('what is given back to a full pool is refused, and goes into no other pool', () => {
        const batch = array(2)
        memory.allocate(1, batch, 2)
        const other = [...memory.freeStack.subarray(0, POOL)]
        memory.free(batch, 0, 2)
        expect(() => memory.free(batch, 0, 2)).toThrow('given back to a pool that is full')
        expect(memory.available(1)).toBe(POOL)
        // Transmitted twice, then free already when the card has sent it.
        expect(tx.transmit(batch, 0, 2)).toBe(2)
        world.send(ENTRIES)
        expect(() => tx.room()).toThrow('freed or transmitted twice')
        expect([tx.pending(), tx.room(), memory.available(1)]).toEqual([0, ENTRIES - 1, POOL])
        expect([...memory.freeStack.subarray(0, POOL)]).toEqual(other)
      })

      test('one packet more than the pool has room for is refused among four as well', () => {
        const batch = array(4)
        memory.allocate(1, batch, 4)
        memory.free(batch, 0, 1)
        const [first, ...others] = [...batch]
        expect(() => memory.free(arrayOf(world, near, [...others, first]), 0, 4)).toThrow('that is full')
        expect(memory.available(1)).toBe(POOL)
        expect(memory.allocate(1, batch, 4)).toBe(4)
        memory.free(batch, 0, 1)
        expect(tx.transmit(batch, 0, 4)).toBe(4)
        world.send(ENTRIES)
        expect(() => tx.room()).toThrow('freed or transmitted twice')
        expect([tx.pending(), memory.available(1)]).toEqual([0, POOL])
      })

      test.each([2, -1, 0.5, NaN])('there is no pool %d', (pool) => {
        expect(() => memory.allocate(pool, array(2), 2)).toThrow(
          `there is no pool ${pool}: they go from 0 to 1`,
        )
      })
    })
  })
}
