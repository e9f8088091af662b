import type { DeviceCounters, VirtualReport } from '../../../src/engine/types.ts'
import { rateOf } from '../../../src/cli/output/rates.ts'
import { Tally, lossOf, sequenceCheck } from '../../../src/cli/output/tally.ts'

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
  tally.add({ elapsed: 1, seconds: 1, devices: [counters(1e6, 2e6), counters(7e6, 0, b)] })
  tally.add({ elapsed: 1.5, seconds: 0.5, devices: [counters(2e6, 0), counters(0, 0, b)] })
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

describe('loss', () => {
  const gen = (index: number, counted: Record<string, number>): VirtualReport => ({
    index,
    device: 'virtual:gen',
    wires: [{ wire: 'gen', counters: counted }],
    breaches: [],
  })

  test('is what the wires have seen, where they check sequence numbers', () => {
    const virtual = [
      gen(0, { sent: 100, received: 190, lost: 10, duplicated: 1, reordered: 2, corrupted: 0 }),
      gen(1, { sent: 300, received: 90, lost: 5, duplicated: 0, reordered: 0, corrupted: 4 }),
    ]
    expect(lossOf([counters(1, 1, { dropped: { missed: 99 } })], virtual, true)).toEqual({
      lost: 15,
      of: 400,
    })
    expect(sequenceCheck(virtual, true)).toEqual({ lost: 15, duplicated: 1, reordered: 2, corrupted: 4 })
  })

  test('what comes out nowhere is lost in a forwarder, and nobody’s business elsewhere', () => {
    const virtual = [gen(0, { sent: 100, received: 0, lost: 100, duplicated: 0, reordered: 0, corrupted: 0 })]
    expect(lossOf([counters(1, 1)], virtual, true)).toEqual({ lost: 100, of: 100 })
    expect(lossOf([counters(1, 1)], virtual, false)).toEqual({ lost: 0, of: 1 })
    expect(sequenceCheck(virtual, false)).toBeNull()
  })

  test('is every named drop elsewhere, and queues are not counted twice', () => {
    const devices = [
      counters(100, 90, { dropped: { missed: 7, tx_ring_full: 3 } }),
      counters(100, 90, { queue: 0, dropped: { tx_ring_full: 3 } }),
    ]
    expect(lossOf(devices, [], true)).toEqual({ lost: 10, of: 100 })
    expect(sequenceCheck([], true)).toBeNull()
  })
})
