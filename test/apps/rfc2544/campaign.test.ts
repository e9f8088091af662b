import type { TrialCounts, TrialOrder } from '../../../src/apps/rfc2544/bench.ts'
import { Stopped } from '../../../src/apps/rfc2544/bench.ts'
import { Campaign, type Trials } from '../../../src/apps/rfc2544/campaign.ts'
import { findingsOf, unmetThroughput } from '../../../src/apps/rfc2544/findings.ts'
import type { Rfc2544Options } from '../../../src/apps/rfc2544/options.ts'
import type { Rfc2544Result, SizeResults, TrialReport } from '../../../src/apps/rfc2544/results.ts'

const OPTIONS: Rfc2544Options = {
  tests: ['throughput', 'latency', 'loss', 'back-to-back'],
  frameSizes: [64, 1518],
  durations: { trial: 5, short: 1, sum: 3, latency: 5, latencyTrials: 2, bursts: 3, drain: 1, settle: 0 },
  maxLoad: null,
  precision: 0.0025,
  pdrLoss: 0.005,
  bidirectional: false,
  srcMac: null,
  dstMac: null,
  json: false,
}

interface Fake {
  /** Frames per second that come through. */
  readonly capacity?: number
  /** Frames that wait for that. */
  readonly buffer?: number
  /** Frames per second that the tester can send. */
  readonly sends?: number
  /** Loads above which it drops some of what comes. */
  readonly takes?: number
  /** Trials until a signal. */
  readonly trials?: number
}

/** A device under test, and a tester, of whom all is known. */
class FakeBench implements Trials {
  readonly orders: TrialOrder[] = []
  learned = 0
  private readonly fake: Required<Fake>

  constructor(fake: Fake) {
    this.fake = { capacity: Infinity, buffer: 0, sends: Infinity, takes: Infinity, trials: Infinity, ...fake }
  }

  run(order: TrialOrder, whileSending?: () => Promise<void>): Promise<TrialCounts> {
    const { capacity, buffer, sends, takes, trials } = this.fake
    if (this.orders.length >= trials) return Promise.reject(new Stopped())
    this.orders.push(order)
    const offered = Math.min(order.load, sends)
    const sent = order.count * (order.lanes === 3 ? 2 : 1)
    const seconds = order.count / offered
    const over = Math.round(Math.max(0, (offered - capacity) * seconds - buffer))
    const dropped = order.load > takes ? 100 : 0
    const lost = over + dropped
    const latency = { ...NO_LATENCY, sent, returned: sent - lost, count: sent - lost, lost }
    const counts = {
      sent,
      received: sent - lost,
      lost,
      duplicated: 0,
      damaged: 0,
      foreign: 3,
      offered,
      seconds,
    }
    const result = { ...counts, droppedHere: dropped > 0 ? { missed: dropped } : {}, latency, silence: 0.25 }
    return (whileSending?.() ?? Promise.resolve()).then(() => result)
  }

  learn(): Promise<void> {
    this.learned++
    return Promise.resolve()
  }

  pause(): Promise<void> {
    return Promise.resolve()
  }

  outage(): { seconds: number; ago: number } {
    return { seconds: 0.25, ago: 10 }
  }

  halt(): void {}
}

const NO_LATENCY = {
  ...{ duplicated: 0, damaged: 0, foreign: 3, late: 0, min: 1, mean: 2, p50: 2, p90: 3, p99: 4, p999: 5 },
  ...{ p9999: 6, p99999: 7, max: 8 },
}

async function run(
  fake: Fake,
  options: Partial<Rfc2544Options> = {},
  lanes = 1,
): Promise<{
  result: Rfc2544Result
  sizes: readonly SizeResults[]
  bench: FakeBench
  trials: TrialReport[]
}> {
  const bench = new FakeBench(fake)
  const trials: TrialReport[] = []
  const told = {
    trial: (report: TrialReport) => void trials.push(report),
    result: () => undefined,
    progress: () => undefined,
  }
  const campaign = new Campaign(bench, { ...OPTIONS, ...options }, 10_000, lanes, told)
  const complete = await campaign.run()
  const { directions, sizes } = campaign
  return {
    result: { complete, directions, linkMbit: 10_000, trials: trials.length, sizes },
    sizes,
    bench,
    trials,
  }
}

const text = (result: Rfc2544Result): string => findingsOf(result).text?.lines.join('\n') ?? ''

test('all that is asked for is found out of a device that behaves', async () => {
  const { result, sizes, bench, trials } = await run({ capacity: 700_000, buffer: 5_000 })
  expect(result.complete).toBe(true)
  expect(bench.learned).toBe(0)
  const [small, large] = sizes
  expect(small.lineRate).toBeCloseTo(14_880_952, 0)
  expect(large.lineRate).toBeCloseTo(812_744, 0)
  for (const { throughput, testerLimit, maxLoad, backToBack, latency, loss } of sizes) {
    expect(testerLimit).toBeNull()
    // 5 s of what the buffer hides are a thousand frames a second.
    expect(throughput?.load).toBeGreaterThan(701_000 * 0.9975)
    expect(throughput?.load).toBeLessThanOrEqual(701_000)
    // The longest burst at a load above the capacity fills the buffer.
    const burst = 5_000 / (1 - 700_000 / maxLoad)
    expect(backToBack?.frames).toBeLessThanOrEqual(burst * 1.001 + 1)
    expect(backToBack?.frames).toBeGreaterThan(burst * 0.995)
    expect(backToBack).toMatchObject({ searches: 3, load: maxLoad, atLeast: false })
    expect(latency).toMatchObject({
      trials: 2,
      min: 1,
      mean: 2,
      p99: 4,
      max: 8,
      load: throughput?.load,
      lost: 0,
    })
    expect(loss?.[0]).toMatchObject({ share: 1, load: maxLoad, unusable: null })
    expect(loss?.[0].lossRatio).toBeCloseTo(1 - 701_000 / maxLoad, 3)
  }
  // Down to 10 %, as even that is too much; and until nothing is lost twice.
  expect(small.loss?.map(({ share }) => share)).toEqual([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
  expect(large.loss?.map(({ lost }) => lost === 0)).toEqual([false, false, true, true])
  expect(trials.map(({ number }) => number)).toEqual(trials.map((_, i) => i + 1))
  expect(text(result)).toMatch(/^bytes +throughput +of line rate +NDR +PDR\n64 +70\d\.\d{3} kpps +4\.7\d+ %/)
})

test('what the tester can’t offer is not held against the device, nor counted as its capacity', async () => {
  const { result, sizes, trials } = await run({ capacity: 10e6, sends: 4e6 }, { frameSizes: [64] })
  expect(sizes[0].testerLimit).toBeCloseTo(4e6 * 0.99)
  expect(sizes[0].throughput).toMatchObject({ load: 4e6 * 0.99, upper: null, reached: true })
  expect(trials[0].unusable).toMatch(/could not offer/)
  expect(sizes[0].loss?.[0]).toMatchObject({ offered: 4e6, unusable: 'the tester could not offer that much' })
  expect(sizes[0].backToBack).toMatchObject({ frames: Math.round(4e6 * 0.99 * 2), atLeast: true })
  expect(text(result)).toMatch(/^64 +>= 3\.9600 Mpps .* tester$/m)
  expect(text(result)).toMatch(/\n\ntester: a limit of this end/)
  expect(findingsOf(result).warnings.join()).toMatch(/could not offer, or take in, more than 3\.9600 Mpps/)
})

test('what the tester drops itself is no loss of the device', async () => {
  const { sizes, trials } = await run(
    { capacity: 2e6, takes: 5e6 },
    { frameSizes: [64], tests: ['throughput'] },
  )
  expect(trials[0].unusable).toMatch(/could not take in/)
  expect(sizes[0].testerLimit).toBeLessThanOrEqual(5e6)
  expect(sizes[0].throughput?.load).toBeGreaterThan(2e6 * 0.9975)
  expect(sizes[0].throughput?.load).toBeLessThanOrEqual(2e6)
})

test('what this end has dropped of a burst is said', async () => {
  const { sizes, result, trials } = await run(
    { takes: 5e6 },
    { frameSizes: [64], tests: ['latency', 'back-to-back'] },
  )
  const bursts = trials.filter((trial) => trial.test === 'back-to-back')
  expect(sizes[0].backToBack?.droppedHere).toBe(100 * bursts.length)
  expect(sizes[0].latency).toMatchObject({ lost: 200, droppedHere: 200 })
  expect(findingsOf(result).warnings.join()).toMatch(/latency: of the frames .* has dropped 200 itself/)
})

test('with two devices they are made known before each trial, and both ways are tested if asked for', async () => {
  const one = await run({ capacity: 1e6 }, { frameSizes: [64], tests: ['throughput'] }, 2)
  expect(one.bench.learned).toBe(one.trials.length)
  expect(new Set(one.bench.orders.map(({ lanes }) => lanes))).toEqual(new Set([1]))
  const both = await run({ capacity: 1e6 }, { frameSizes: [64], bidirectional: true, maxLoad: '2Mpps' }, 2)
  expect(new Set(both.bench.orders.map(({ lanes }) => lanes))).toEqual(new Set([3]))
  expect(both.result.directions).toBe(2)
  expect(findingsOf(both.result).text?.first).toMatch(/each direction/)
})

test('--max-load is the most that is offered of sizes of which a link carries more', async () => {
  const { sizes, bench } = await run({}, { maxLoad: '1Mpps', tests: ['throughput'] })
  expect(sizes.map(({ throughput }) => Math.round(throughput?.load ?? 0))).toEqual([1_000_000, 812_744])
  expect(Math.max(...bench.orders.map(({ load }) => load))).toBe(1e6)
})

test('a reset is told by frames and by time', async () => {
  const { sizes, result } = await run(
    { capacity: 1e6 },
    { frameSizes: [64], tests: ['reset'], maxLoad: '1.25Mpps' },
  )
  const { reset } = sizes[0]
  expect(reset?.byTime).toBe(0.25)
  expect(reset?.byLoss).toBeCloseTo(300 * 0.2)
  expect(text(result)).toMatch(/^\nreset +by loss +by time +at\n64 bytes +60\.000 s +0\.250 s +1\.2500 Mpps$/)
})

test('what was stopped says what is known, and that it is incomplete', async () => {
  const { result, sizes } = await run({ capacity: 1e6, trials: 4 })
  expect(result.complete).toBe(false)
  expect(sizes).toHaveLength(1)
  expect(sizes[0].throughput).toMatchObject({ reached: false })
  expect(findingsOf(result).text?.first).toMatch(/incomplete/)
  expect(text(result)).toMatch(/\n64 +(>= |\?)/)
})

test('a device that loses everything has no throughput, and no latency is asked of it', async () => {
  const { result, sizes } = await run({ capacity: 0 }, { frameSizes: [64], tests: ['throughput', 'latency'] })
  expect(sizes[0]).toMatchObject({ throughput: { load: null, reached: true }, latency: null })
  expect(text(result)).toMatch(/\n64 +0 +- +0 +0$/)
})

describe('--expect-throughput', () => {
  test.each([
    ['650kpps', null],
    ['4%', null],
    ['800kpps', /throughput of 64 bytes is (69|70)\d\.\d{3} kpps, expected at least 800kpps/],
    ['50%', /of 64 bytes/],
  ] as const)('%s', async (wanted, unmet) => {
    const { result } = await run({ capacity: 700_000 }, { tests: ['throughput'] })
    const [error] = unmetThroughput(result, wanted)
    if (unmet === null) expect(error).toBeUndefined()
    else expect(error.message).toMatch(unmet)
  })

  test('is not met by what was not tested', async () => {
    const { result } = await run({ capacity: 700_000, trials: 3 }, { tests: ['throughput'] })
    expect(unmetThroughput(result, '1pps').at(0)?.code).toBe('IXY_ERR_EXPECTATION')
    expect(unmetThroughput(null, '1pps').at(0)?.code).toBe('IXY_ERR_EXPECTATION')
    expect(unmetThroughput(null, undefined)).toEqual([])
  })
})
