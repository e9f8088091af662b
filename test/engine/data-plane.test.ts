/** When a worker says that packets moved. */
import { activeSeconds } from '../../src/engine/activity.ts'
import { DataPlane, DataPort } from '../../src/engine/data-plane.ts'
import {
  BAD_LENGTH,
  COMMAND,
  COMMAND_RUN,
  COMMAND_STOP,
  CONTROL_BYTES,
  COUNTERS,
  FILTERED_OUT,
  FIRST_MOVED,
  FRAGMENTS,
  LAST_MOVED,
  OF_WORKER,
  POLLS,
  POOL_EMPTY,
  RX_BYTES,
  RX_PACKETS,
  RX_UNTAKEN,
  TX_BYTES,
  TX_PACKETS,
  TX_UNSENT,
  USEFUL_POLLS,
} from '../../src/engine/worker-spec.ts'
import { Sleeper } from '../../src/engine/sleeper.ts'
import { MonotonicClock } from '../../src/linux/monotonic.ts'

const BATCH = 64

/** Runs a worker whose steps move `moves` packets each, in or out. */
function run(
  moves: readonly number[],
  way: 'rx' | 'tx' = 'tx',
): {
  first: number
  last: number
  moved: number
  polls: number
  useful: number
  times: number[]
} {
  const clock = new MonotonicClock()
  const control = new SharedArrayBuffer(CONTROL_BYTES)
  const counters = new SharedArrayBuffer((COUNTERS + OF_WORKER) * 8)
  const orders = new Int32Array(control)
  orders[COMMAND] = COMMAND_RUN
  const counts = { rx: 0, tx: 0 }
  const rx = {
    get packets() {
      return counts.rx
    },
    ...{ bytes: 0, poolEmpty: 0, fragments: 0, badLength: 0, untaken: () => 0 },
  }
  const tx = {
    get packets() {
      return counts.tx
    },
    ...{ bytes: 0, pending: () => 0 },
  }
  const port = new DataPort(rx as unknown as DataPort['rx'], tx as unknown as DataPort['tx'])
  /** When each step began. */
  const times: number[] = []
  const step = (): number => {
    if (times.length === moves.length) return 0
    const moved = moves[times.length]
    times.push(clock.now())
    counts[way] += moved
    if (times.length === moves.length) orders[COMMAND] = COMMAND_STOP
    return moved
  }
  const sleeper = new Sleeper([], 'poll')
  new DataPlane({ control, counters }, [port], { step }, () => undefined, { sleeper }).run()
  const published = new Float64Array(counters)
  return {
    first: published[COUNTERS + FIRST_MOVED],
    last: published[COUNTERS + LAST_MOVED],
    moved: published[way === 'rx' ? RX_PACKETS : TX_PACKETS],
    polls: published[COUNTERS + POLLS],
    useful: published[COUNTERS + USEFUL_POLLS],
    times,
  }
}

test.each(['rx', 'tx'] as const)(
  'the first packet (%s) moves in the step that moves it, not when the counters are published next',
  (way) => {
    const { first, last, moved, times } = run(
      Array.from({ length: 79 }, () => BATCH),
      way,
    )
    expect(moved).toBe(79 * BATCH)
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThanOrEqual(times[0])
    expect(last).toBeGreaterThan(times[78])
    // All of them took at least as long as the steps were apart.
    expect(activeSeconds([{ first, last }], moved, 3600)).toBeGreaterThan((times[78] - times[0]) / 1000)
  },
)

test('polls before that find nothing are no part of it', () => {
  const { first, times } = run([...Array.from({ length: 500 }, () => 0), BATCH, 0, BATCH])
  expect(first).toBeGreaterThan(times[499])
  expect(first).toBeLessThanOrEqual(times[500])
})

test('polls are counted, and those that have moved something', () => {
  const moves = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? BATCH : 0))
  const { polls, useful } = run(moves)
  // The one that finds that the run is to end counts as well.
  expect([polls, useful]).toEqual([301, 101])
})

test('of packets that never moved nothing is said', () => {
  expect(run([0, 0, 0])).toMatchObject({ first: 0, last: 0, moved: 0 })
})

test('at the end it waits for what the rings of all ports hold, then publishes each count of each port', () => {
  const control = new SharedArrayBuffer(CONTROL_BYTES)
  const counters = new SharedArrayBuffer((2 * COUNTERS + OF_WORKER) * 8)
  new Int32Array(control)[COMMAND] = COMMAND_STOP
  /** What is asked of each port in turn: held while it drains, then the count of those that stay. */
  const held = [
    [3, 1, 0, 9],
    [0, 2, 0, 19],
  ]
  const ports = held.map((pending, i) => {
    const [packets, bytes, poolEmpty, fragments, badLength, untaken] = [1, 2, 3, 4, 5, 6].map(
      (n) => 10 * i + n,
    )
    const rx = { packets, bytes, poolEmpty, fragments, badLength, untaken: () => untaken }
    const tx = { packets: 10 * i + 7, bytes: 10 * i + 8, pending: () => pending.shift() ?? 100 }
    const port = new DataPort(rx as unknown as DataPort['rx'], tx as unknown as DataPort['tx'])
    port.filteredOut = 10 * i + 10
    return port
  })
  let steps = 0
  const step = (): number => {
    steps++
    return 0
  }
  new DataPlane({ control, counters }, ports, { step }, () => undefined).run()
  expect(steps).toBe(3)
  const published = new Float64Array(counters)
  const places = [
    ...[RX_PACKETS, RX_BYTES, POOL_EMPTY, FRAGMENTS, BAD_LENGTH, RX_UNTAKEN],
    ...[TX_PACKETS, TX_BYTES, TX_UNSENT, FILTERED_OUT],
  ]
  for (const i of [0, 1])
    expect(places.map((place) => published[i * COUNTERS + place])).toEqual(
      places.map((_, n) => 10 * i + 1 + n),
    )
})
