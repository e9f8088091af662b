import { makeJobs } from '../../../src/apps/pktgen/plan.ts'
import type { PktgenOptions } from '../../../src/apps/pktgen/options.ts'
import { shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import type { StreamFlags } from '../../../src/apps/pktgen/templates/stream-options.ts'
import { lineRate } from '../../../src/packet/rate.ts'

const SHAPE = { payload: 0, mtu: 1500, called: (name: string) => name }

function options(rate: string | null, flags: StreamFlags = {}): PktgenOptions {
  return {
    shape: shapeOf(flags, SHAPE),
    rate,
    count: null,
    pcap: null,
    latency: false,
    answer: [],
    streams: null,
  }
}

function paceOf(physical: boolean, rate: string | null, linkMbit = 10_000, size = 60) {
  const context = { physical: [physical], queues: 1, mtu: 1500 }
  const [job] = makeJobs(options(rate, { size: [size] }), context, null, linkMbit)
  return { rate: job.rate, limitOnly: job.limitOnly }
}

test('pktgen keeps to line rate by itself where no real link does', () => {
  expect(paceOf(false, null)).toEqual({ rate: lineRate(60, 10_000), limitOnly: true })
  expect(paceOf(false, null, 1000, 1514)).toEqual({
    rate: lineRate(1514, 1000),
    limitOnly: true,
  })
  expect(paceOf(false, null, 0)).toEqual({ rate: lineRate(60, 10_000), limitOnly: true })
  expect(paceOf(true, null)).toMatchObject({ rate: null })
})

test('max is flat out, a rate is kept', () => {
  expect(paceOf(false, 'max')).toEqual({ rate: null, limitOnly: false })
  expect(paceOf(false, '100%')).toEqual({ rate: lineRate(60, 10_000), limitOnly: false })
  expect(() => paceOf(false, '5Gbit', 1000)).toThrow(/more than the link carries/)
})

test('queues have the same job, but for their share', () => {
  const wanted = { ...options('1kpps', { imix: true, flows: 3 }), count: 10, latency: true }
  const jobs = makeJobs(wanted, { physical: [false], queues: 3, mtu: 1500 }, null, 0)
  expect(jobs.map((job) => job.share)).toEqual([0, 1, 2].map((index) => ({ index, of: 3 })))
  expect(jobs[1]).toMatchObject({ rate: 1000, rateFrameBytes: null, count: 10 })
  expect(new Set(jobs.map((job) => job.probe?.key)).size).toBe(1)
  expect(new Set(jobs.map((job) => job.probe?.books[0])).size).toBe(3)
})
