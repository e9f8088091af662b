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
