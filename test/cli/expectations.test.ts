import { idleQueueHints, oversizeHints, unmetExpectations } from '../../src/cli/run-app.ts'
import { sum } from '../../src/sum.ts'
import { NO_LOSS } from '../../src/engine/loss.ts'
import type { DeviceCounters, RunResult } from '../../src/engine/types.ts'

function result(tx: number[], dropped = 0): RunResult {
  return {
    elapsed: 12,
    active: 10,
    reason: 'duration',
    devices: tx.map((packets, index): DeviceCounters => ({
      index,
      device: `0000:03:00.${index}`,
      queue: null,
      rx: { packets: 0, bytes: 0 },
      tx: { packets, bytes: 60 * packets },
      dropped: { missed: dropped },
    })),
    virtual: [],
    balance: [],
    loss: { ...NO_LOSS, judged: true, reason: '', lost: dropped, of: sum(tx) + dropped },
    counters: {},
    result: null,
    error: null,
  }
}

test('without expectations every run is fine', () => {
  expect(unmetExpectations(result([0, 0], 99), {})).toEqual([])
})

test('--expect-mpps compares the average transmit rate of all devices while packets moved', () => {
  const run = result([6_000_000, 4_000_000])
  expect(unmetExpectations(run, { expectMpps: 1 })).toEqual([])
  const [error] = unmetExpectations(run, { expectMpps: 1.01 })
  expect(error.exitCode).toBe(5)
  expect(error.message).toBe('sent 1 Mpps on average, expected at least 1.01 (--expect-mpps)')
})

test('--expect-loss compares the share of packets lost', () => {
  const run = result([90], 10)
  expect(unmetExpectations(run, { expectLoss: 0.1 })).toEqual([])
  const [error] = unmetExpectations(run, { expectLoss: 0.05 })
  expect(error.code).toBe('IXY_ERR_EXPECTATION')
  expect(error.message).toBe('lost 10 of 100 packets (0.100), expected at most 0.05 (--expect-loss)')
})

test('a run that sent nothing misses every expectation: nothing was seen of what they ask', () => {
  const run = { ...result([0]), elapsed: 0, active: 0 }
  const [error] = unmetExpectations(run, { expectMpps: 0 })
  expect(error.exitCode).toBe(5)
  expect(error.message).toBe('no packet was sent, expected at least 0 Mpps (--expect-mpps)')
  expect(unmetExpectations(run, { expectLoss: 1 }).at(0)?.message).toMatch(/^no packet moved/)
})

test('of two expectations both are told', () => {
  const missed = unmetExpectations(result([90], 10), { expectMpps: 1, expectLoss: 0 })
  expect(missed.map(({ message }) => message)).toEqual([
    'sent 0.000009 Mpps on average, expected at least 1 (--expect-mpps)',
    'lost 10 of 100 packets (0.100), expected at most 0 (--expect-loss)',
  ])
})

test('--expect-loss is not met where nobody can judge, and where packets are unaccounted for', () => {
  const run = result([100])
  const unknown = { ...run, loss: { ...run.loss, judged: false, reason: 'nobody looked' } }
  expect(unmetExpectations(unknown, { expectLoss: 1 }).at(0)?.message).toBe(
    "loss can't be judged here: nobody looked (--expect-loss)",
  )
  const leak = { ...run, loss: { ...run.loss, unaccounted: 1 } }
  expect(unmetExpectations(leak, { expectLoss: 1 }).at(0)?.exitCode).toBe(5)
})

test('a packet that arrives changed has not arrived', () => {
  const run = result([100])
  const damaged = { ...run, loss: { ...run.loss, corrupted: 3 } }
  expect(unmetExpectations(damaged, { expectLoss: 0.02 }).at(0)?.message).toBe(
    'lost 0 and corrupted at most 3 of 100 packets (0.0300), expected at most 0.02 (--expect-loss)',
  )
  expect(unmetExpectations(damaged, { expectLoss: 0.03 })).toEqual([])
})

test('a hint about frames that are too long names the device and the limit', () => {
  const [device] = result([0]).devices
  const dropping = { ...device, dropped: { oversize: 7 } }
  expect(oversizeHints([device, dropping, { ...dropping, queue: 0 }], 1500)).toEqual([
    '0000:03:00.0: drops frames that are longer than --mtu 1500 allows',
  ])
})

describe('a hint about queues that get nothing', () => {
  const device = (queues: number[], index = 0): DeviceCounters[] => {
    const whole = result([0]).devices[0]
    const traffic = (packets: number) => ({ packets, bytes: 60 * packets })
    const total = queues.reduce((sum, packets) => sum + packets, 0)
    return [
      { ...whole, index, rx: traffic(total) },
      ...queues.map((packets, queue) => ({ ...whole, index, queue, rx: traffic(packets) })),
    ]
  }

  test('names the device, how many queues it has, and what to do', () => {
    const hints = idleQueueHints([...device([0, 5000, 0]), ...device([2500, 2500], 1)])
    expect(hints).toEqual([
      expect.stringMatching(/^0000:03:00\.0: one of its 3 queues gets every packet, .*flows=/),
    ])
  })

  test('is not given where a worker got no time to take what is in its queue, nor if it was ended', () => {
    const [whole, busy, starved] = device([5000, 0])
    const received = { ...whole, rx: { packets: 5512, bytes: 60 * 5512 } }
    const untaken = { ...starved, dropped: { ...starved.dropped, rx_untaken: 512 } }
    expect(idleQueueHints([received, busy, untaken])).toEqual([])
    expect(idleQueueHints([received, busy, starved])).toEqual([])
    const late = { ...busy, dropped: { ...busy.dropped, rx_untaken: 400, pool_empty: 112 } }
    expect(idleQueueHints([received, late, starved])).toHaveLength(1)
  })

  test('is not given for one queue, for few packets, and where all have some', () => {
    expect(idleQueueHints(result([0]).devices)).toEqual([])
    expect(idleQueueHints(device([999, 0]))).toEqual([])
    expect(idleQueueHints(device([0, 0]))).toEqual([])
    expect(idleQueueHints(device([5000, 1]))).toEqual([])
  })
})
