import { Burst } from '../../../src/vnic/burst.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { SinkWire } from '../../../src/vnic/wires/sink.ts'
import { countersOf, someFrame } from './fake-port.ts'

test('measures the time between frames', () => {
  const sink = new SinkWire('sink', null)
  expect(countersOf(sink)).toEqual({ arrived: 0, bytes: 0, foreign: 0 })
  for (const now of [1000, 1001, 1003, 1004]) sink.send(someFrame(1), 0, 60, now)
  expect(countersOf(sink)).toEqual({
    arrived: 4,
    bytes: 240,
    foreign: 0,
    gapMeanNs: 1_333_333,
    gapDeviationNs: 471_405,
    gapMaxNs: 2_000_000,
  })
})

test('counts the frames of a burst, their bytes and those that no generator has sent', () => {
  const sink = new SinkWire('sink', new Ledger(1))
  const burst = new Burst()
  burst.first = 1
  burst.count = 3
  burst.lengths.set([9000, 60, 100, 1514, 9000])
  burst.offsets.fill(sharedSpace().take(2048))
  expect(sink.sendBurst(burst, 1000)).toBe(3)
  sink.send(someFrame(1), 0, 60, 1000)
  expect(countersOf(sink)).toMatchObject({ arrived: 4, bytes: 1734, foreign: 4 })
})
