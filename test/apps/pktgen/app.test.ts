import { pktgen } from '../../../src/apps/pktgen/app.ts'
import { makeJobs } from '../../../src/apps/pktgen/plan.ts'
import { shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import type { AppPort } from '../../../src/engine/app.ts'
import { MonotonicClock } from '../../../src/linux/monotonic.ts'
import { POOL, makeMemory } from './memory.ts'

/** What a worker sends in its first step, which comes 9 ms after the start of the run. */
function sentFirst(rate: string | null): number {
  const shape = shapeOf({}, { mtu: 1500, payload: 0, called: (name) => name })
  const options = { shape, streams: null, rate, count: null, latency: false, pcap: null, answer: [] }
  const [job] = makeJobs(options, { physical: [false], queues: 1, mtu: 1500 }, null, 10_000)
  const rx = { receive: () => 0 }
  const tx = { room: () => 256, transmit: (_batch: Int32Array, _first: number, count: number) => count }
  const steps = pktgen.make(
    {
      ports: [{ rx, tx } as unknown as AppPort],
      memory: makeMemory(),
      pools: [POOL],
      batchSize: 32,
      counters: new Float64Array(0),
      ...{ worker: 0, workers: 1, rehearsal: false, wasm: null },
    },
    job,
  )
  steps.begin?.(new MonotonicClock().now() - 9)
  return steps.step()
}

test('what a rate asks for is due from the start of the run on, line rate is owed nothing', () => {
  expect(sentFirst('1Mpps')).toBe(32)
  expect(sentFirst(null)).toBe(1)
})
