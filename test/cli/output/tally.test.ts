import type { DeviceCounters, IntervalEvent } from '../../../src/engine/types.ts'
import { rateOf } from '../../../src/cli/output/rates.ts'
import { Tally } from '../../../src/cli/output/tally.ts'

function counters(rx: number, tx: number, more: Partial<DeviceCounters> = {}): DeviceCounters {
  return {
    index: 0,
    device: 'virtual:gen',
    queue: null,
    rx: { packets: rx, bytes: rx * 60 },
    tx: { packets: tx, bytes: tx * 60 },
    dropped: {},
    ...more,
  }
}

function interval(seconds: number, devices: DeviceCounters[]): IntervalEvent {
  return { time: 0, elapsed: 1, seconds, devices, totals: devices }
}

test('line rate of minimum-size packets is 14.88 Mpps and 10,000 Mbit/s on the wire', () => {
  const rate = rateOf({ packets: 14_880_952, bytes: 14_880_952 * 60 }, 1)
  expect(rate.mpps).toBeCloseTo(14.88, 2)
  expect(rate.mbit).toBeCloseTo(10_000, 2)
})

test('an empty span has no rate', () => {
  expect(rateOf({ packets: 5, bytes: 300 }, 0)).toEqual({ mpps: 0, mbit: 0 })
})

test('averages are over the run, peaks over its intervals, per device', () => {
  const tally = new Tally()
  const b = { index: 1 }
  tally.add(interval(1, [counters(1e6, 2e6), counters(7e6, 0, b)]))
  tally.add(interval(0.5, [counters(2e6, 0), counters(0, 0, b)]))
  const [first, second] = tally.summarize([counters(3e6, 2e6), counters(7e6, 0, b)], 2)
  expect(first.rx.average.mpps).toBeCloseTo(1.5)
  expect(first.rx.peak.mpps).toBeCloseTo(4)
  expect(first.tx.peak.mpps).toBeCloseTo(2)
  expect(second.rx.peak.mpps).toBeCloseTo(7)
})

test('a run shorter than an interval peaks at its average', () => {
  const [device] = new Tally().summarize([counters(1e6, 1e6)], 0.5)
  expect(device.rx.peak).toEqual(device.rx.average)
  expect(device.rx.peak.mpps).toBeCloseTo(2)
})
