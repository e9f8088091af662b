/** What a crew makes of the counters of its workers; no worker runs. */
import { Crew } from '../../src/engine/crew.ts'
import { COUNTERS, DROP_CAUSES } from '../../src/engine/worker-spec.ts'

test('what several workers have counted is added up, device by device and cause by cause', () => {
  /** Of worker 0: 1, 2, 3… at device 0, 1001, 1002… at device 1. Worker 1 has counted a million more each. */
  const member = (worker: number): object => ({
    counters: Float64Array.from(
      { length: 2 * COUNTERS },
      (_, i) => worker * 1e6 + (i < COUNTERS ? 1 + i : 1001 + i - COUNTERS),
    ),
    own: Float64Array.of(7 + worker, 50 * (worker + 1)),
  })
  const names = ['seen', 'answered']
  const parts = { members: [0, 1].map(member), names }
  const two = Object.assign(Object.create(Crew.prototype), parts) as Crew
  expect(two.appCounters()).toEqual({ seen: 15, answered: 150 })
  const sum = (one: number): number => 2 * one + 1e6
  const dropped = Object.fromEntries(DROP_CAUSES.map((cause, i) => [cause, 1005 + i]))
  expect(two.counters(0, 1)).toEqual({
    rx: { packets: 1001, bytes: 1002 },
    tx: { packets: 1003, bytes: 1004 },
    dropped,
  })
  expect(two.totals(1)).toEqual({
    rx: { packets: sum(1001), bytes: sum(1002) },
    tx: { packets: sum(1003), bytes: sum(1004) },
    dropped: Object.fromEntries(DROP_CAUSES.map((cause) => [cause, sum(dropped[cause])])),
  })
  const { pool_empty, fragments, bad_length } = two.totals(1).dropped
  expect(two.account(1)).toEqual({
    taken: sum(1001),
    // Of what was taken out of the rings: what was left there is not, and what the app has held back is not lost.
    dropped: { pool_empty, fragments, bad_length },
    untaken: sum(dropped['rx_untaken']),
    filteredOut: sum(dropped['filtered_out']),
    queued: sum(1003),
    unsent: sum(dropped['tx_unsent']),
  })
})
