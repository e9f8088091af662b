import fc from 'fast-check'
import {
  boundsOf,
  classify,
  conditionalThroughput,
  type Goal,
  type LoadClass,
  nextTrial,
  type TrialResult,
} from '../../../src/apps/rfc2544/search.ts'
import { mostOf, search, type Tried } from '../../../src/apps/rfc2544/throughput.ts'

const STRICT: Goal = { lossRatio: 0, exceedRatio: 0, trialSeconds: 60, sumSeconds: 60, width: 0.0025 }
const NDR: Goal = { lossRatio: 0, exceedRatio: 0.5, trialSeconds: 1, sumSeconds: 21, width: 0.0025 }
const PDR: Goal = { lossRatio: 0.005, exceedRatio: 0.5, trialSeconds: 1, sumSeconds: 21, width: 0.005 }
const LINE = 14_880_952
const LIMITS = { min: LINE / 10_000, max: LINE }

const at = (count: number, seconds: number, lossRatio: number): TrialResult[] =>
  Array.from({ length: count }, () => ({ load: 1e6, seconds, lossRatio }))

describe('classification of a load', () => {
  // The example of RFC 9971: four goals, and what trials make of them one after the other.
  const goals: readonly Goal[] = [
    { lossRatio: 0, exceedRatio: 0, trialSeconds: 60, sumSeconds: 60, width: 0.01 },
    { lossRatio: 0, exceedRatio: 0.5, trialSeconds: 60, sumSeconds: 120, width: 0.01 },
    { lossRatio: 0.005, exceedRatio: 0.5, trialSeconds: 1, sumSeconds: 120, width: 0.01 },
    { lossRatio: 0.005, exceedRatio: 0.2, trialSeconds: 60, sumSeconds: 60, width: 0.01 },
  ]
  const points: readonly (readonly [TrialResult[], readonly LoadClass[]])[] = [
    [at(59, 1, 0), ['undecided', 'undecided', 'undecided', 'undecided']],
    [at(1, 1, 0.01), ['upper', 'undecided', 'undecided', 'undecided']],
    [at(59, 1, 0.01), ['upper', 'undecided', 'undecided', 'upper']],
    [at(1, 1, 0), ['upper', 'undecided', 'lower', 'upper']],
  ]
  test.each(points.map(([, expected], i) => [i + 1, expected] as const))('at point %i', (point, expected) => {
    const trials = points.slice(0, point).flatMap(([added]) => added)
    expect(goals.map((goal) => classify(goal, trials))).toEqual(expected)
  })

  test('is decided once the sum of the goal is reached', () => {
    const ratio = fc.constantFrom(0, 0.001, 0.005, 0.1, 1)
    fc.assert(
      fc.property(fc.array(ratio, { minLength: 21, maxLength: 60 }), (ratios) => {
        const trials = ratios.map((lossRatio) => ({ load: 1, seconds: 1, lossRatio }))
        for (const goal of [NDR, PDR]) expect(classify(goal, trials)).not.toBe('undecided')
      }),
    )
  })
})

test('the smallest upper bound is believed, and a lower bound is below it', () => {
  const one = (load: number, lossRatio: number): TrialResult => ({ load, seconds: 60, lossRatio })
  expect(boundsOf(STRICT, [one(5, 0), one(3, 0.1), one(2, 0), one(1, 0)])).toEqual({ lower: 2, upper: 3 })
  expect(boundsOf(STRICT, [one(3, 0.1), one(1, 0.1)])).toEqual({ lower: null, upper: 1 })
  expect(boundsOf(STRICT, [one(3, 0)])).toEqual({ lower: 3, upper: null })
})

test('conditional throughput is what came through in a trial that the goal counts on', () => {
  const trials = [0, 0, 0, 0.004, 0.1].map((lossRatio) => ({ load: 1000, seconds: 1, lossRatio }))
  const goal = { ...PDR, sumSeconds: 5 }
  expect(conditionalThroughput(goal, 1000, trials)).toBe(1000)
  expect(conditionalThroughput({ ...goal, exceedRatio: 0.3 }, 1000, trials)).toBeCloseTo(996)
  expect(conditionalThroughput({ ...goal, exceedRatio: 0 }, 1000, trials)).toBe(900)
})

/** Loss by load and length; `trial` counts from 0. */
type Device = (load: number, seconds: number, trial: number) => number

/** As much as `capacity` comes through. */
const limited =
  (capacity: number): Device =>
  (load) =>
    Math.max(0, 1 - capacity / load)

interface Run {
  readonly trials: TrialResult[]
  readonly rates: Awaited<ReturnType<typeof search>>['rates']
  readonly testerLimit: number | null
}

async function run(
  device: Device,
  goals: readonly Goal[] = [STRICT, PDR, NDR],
  tester = Infinity,
): Promise<Run> {
  const trials: TrialResult[] = []
  const result = await search(goals, LIMITS, 1, ({ load, seconds }): Promise<Tried> => {
    if (load > tester) return Promise.resolve({ testerLimit: tester * 0.99 })
    const lossRatio = device(load, seconds, trials.length)
    trials.push({ load, seconds, lossRatio })
    return Promise.resolve({ offered: load, lossRatio })
  })
  return { trials, ...result }
}

const seconds = (trials: readonly TrialResult[]): number =>
  trials.reduce((sum, trial) => sum + trial.seconds, 0)
const long = (trials: readonly TrialResult[]): number => trials.filter((trial) => trial.seconds === 60).length

describe('a device with a capacity', () => {
  test.each([LINE * 0.99, 10e6, 3e6, 1_234_567, 50_000, 2_000])(
    'of %f frames a second is found',
    async (capacity) => {
      const { trials, rates } = await run(limited(capacity))
      const [throughput, pdr, ndr] = rates
      for (const rate of [throughput, ndr]) {
        expect(rate.reached).toBe(true)
        expect(rate.load).toBeLessThanOrEqual(capacity)
        expect(rate.load).toBeGreaterThan(capacity * 0.9975)
        expect(rate.upper).toBeGreaterThan(capacity)
      }
      // It is offered more than the capacity: what came through is no more.
      expect(pdr.load).toBeGreaterThan(capacity)
      expect(pdr.load).toBeLessThanOrEqual(capacity / 0.995)
      expect(pdr.forwarded).toBeCloseTo(capacity, -1)
      expect(trials.length).toBeLessThan(110)
      // One that has gone through in full; a short one with loss is an upper bound already.
      expect(long(trials)).toBeLessThanOrEqual(2)
    },
  )

  test('of line rate needs no search', async () => {
    const { trials, rates } = await run(limited(LINE))
    for (const { load, forwarded, upper, reached } of rates)
      expect({ load, forwarded, upper, reached }).toEqual({
        load: LINE,
        forwarded: LINE,
        upper: null,
        reached: true,
      })
    expect(new Set(trials.map(({ load }) => load))).toEqual(new Set([LINE]))
  })

  test('and a buffer that hides it from short trials takes full ones', async () => {
    const capacity = 1e6
    const buffer = 300_000
    const device: Device = (load, time) => Math.max(0, (load - capacity) * time - buffer) / (load * time)
    const { trials, rates } = await run(device, [STRICT])
    const most = capacity + buffer / 60
    expect(rates[0].load).toBeLessThanOrEqual(most)
    expect(rates[0].load).toBeGreaterThan(most * 0.9975)
    expect(long(trials)).toBeLessThan(25)
  })
})

test('a device that loses always has no throughput, and that is found out soon', async () => {
  for (const device of [(): number => 1, (): number => 0.5, (): number => 1e-6] satisfies Device[]) {
    const { trials, rates } = await run(device, [STRICT, NDR])
    for (const rate of rates) expect(rate).toMatchObject({ load: null, forwarded: null, reached: true })
    expect(trials.length).toBeLessThan(110)
  }
  const { rates } = await run(() => 0.001)
  expect(rates.map(({ load }) => load)).toEqual([null, LINE, null])
})

test('one that collapses under overload is found all the same', async () => {
  const device: Device = (load) => (load <= 2e6 ? 0 : 1 - 10_000 / load)
  const { rates, trials } = await run(device)
  for (const { load } of rates) {
    expect(load).toBeLessThanOrEqual(2e6)
    expect(load).toBeGreaterThan(2e6 * 0.995)
  }
  expect(trials.length).toBeLessThan(120)
})

test('where loss comes and goes with the load, the result is below all loads that were seen to lose', async () => {
  const device: Device = (load) => (Math.floor(load / 500_000) % 2 === 1 || load > 6e6 ? 0.2 : 0)
  const { rates, trials } = await run(device)
  for (const { load, upper, reached } of rates) {
    expect(reached).toBe(true)
    const lossy = trials.filter(({ lossRatio }) => lossRatio > 0).map((trial) => trial.load)
    expect(upper).toBe(Math.min(...lossy))
    expect(load).toBeLessThan(Math.min(...lossy))
  }
})

test('one bad trial in five hides no NDR', async () => {
  const device: Device = (load, _seconds, trial) => (trial % 5 === 3 ? 0.3 : limited(1e6)(load, 0, 0))
  const { rates } = await run(device, [NDR])
  expect(rates[0].load).toBeGreaterThan(0.99e6)
  expect(rates[0].load).toBeLessThanOrEqual(1e6)
})

test('the limit of the tester is not the capacity of the device', async () => {
  const fast = await run(limited(10e6), [STRICT, NDR], 4e6)
  expect(fast.testerLimit).toBe(4e6 * 0.99)
  for (const rate of fast.rates)
    expect(rate).toMatchObject({ load: 4e6 * 0.99, upper: null, reached: true, testerLimited: true })
  const slow = await run(limited(2e6), [STRICT, NDR], 4e6)
  for (const { load, upper, testerLimited } of slow.rates) {
    expect(testerLimited).toBe(false)
    expect(load).toBeLessThanOrEqual(2e6)
    expect(load).toBeGreaterThan(2e6 * 0.9975)
    expect(upper).not.toBeNull()
  }
})

test('a tester that gets worse while it searches ends as well', async () => {
  let tester = 8e6
  const result = await search([STRICT, NDR], LIMITS, 1, ({ load }): Promise<Tried> => {
    tester = Math.max(3e6, tester * 0.97)
    if (load > tester) return Promise.resolve({ testerLimit: tester * 0.99 })
    return Promise.resolve({ offered: load, lossRatio: limited(5e6)(load, 0, 0) })
  })
  expect(result.testerLimit).toBeLessThan(5e6)
  for (const { load, reached } of result.rates) {
    expect(reached).toBe(true)
    expect(load).toBe(result.testerLimit)
  }
  expect(result.rates.map(({ testerLimited }) => testerLimited)).toEqual([true, true])
})

test('whatever the device does, the search ends, and says what it has seen', async () => {
  const ratio = fc.constantFrom(0, 0, 0, 0.0001, 0.004, 0.006, 0.3, 1)
  const goal = fc.record({
    lossRatio: fc.constantFrom(0, 0.005, 0.1),
    exceedRatio: fc.constantFrom(0, 0.2, 0.5),
    trialSeconds: fc.constantFrom(0.5, 1, 10),
    sumSeconds: fc.constantFrom(10, 21),
    width: fc.constantFrom(0.0025, 0.01, 0.2),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(goal, { minLength: 1, maxLength: 3 }),
      fc.array(ratio, { minLength: 1, maxLength: 50 }),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      async (goals, noise, share) => {
        // Noise on top of a capacity, and noise alone.
        const device: Device = (load, _seconds, trial) =>
          Math.max(noise[trial % noise.length], share === 1 ? 0 : limited(LINE * share)(load, 0, 0))
        const { trials, rates } = await run(device, goals)
        const most = mostOf(goals)
        const longest = Math.max(...goals.map(({ trialSeconds }) => trialSeconds))
        expect(trials.length).toBeLessThanOrEqual(most.trials)
        expect(seconds(trials)).toBeLessThan(most.seconds + longest)
        const isOver = nextTrial(goals, LIMITS, 1, trials) === null
        // A device whose losses follow nothing takes bounds back for as long as it is tried.
        const isSpent = trials.length === most.trials || seconds(trials) >= most.seconds
        expect([isOver || isSpent, isOver || rates.some(({ reached }) => !reached)]).toEqual([true, true])
        for (const { load } of trials) {
          expect(load).toBeGreaterThanOrEqual(LIMITS.min)
          expect(load).toBeLessThanOrEqual(LIMITS.max)
        }
        rates.forEach(({ load, upper, reached }, i) => {
          if (isOver) expect(reached).toBe(true)
          if (load === null) return
          const here = trials.filter((trial) => trial.load === load)
          expect(classify(goals[i], here)).toBe('lower')
          // With no exceed ratio, each of its trials has met the goal.
          if (goals[i].exceedRatio === 0)
            for (const { lossRatio } of here) expect(lossRatio).toBeLessThanOrEqual(goals[i].lossRatio)
          if (upper !== null) expect(load).toBeLessThan(upper)
        })
      },
    ),
    {
      numRuns: 80,
      // One goal for itself that isn't reached.
      examples: [
        [
          [{ lossRatio: 0, exceedRatio: 0.5, trialSeconds: 0.5, sumSeconds: 10, width: 0.0025 }],
          [1, 0, 0, 0, 0, 0, 0.006, 1],
          0.014258740234375001,
        ],
      ],
    },
  )
})
