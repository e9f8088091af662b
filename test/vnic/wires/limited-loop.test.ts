import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { parseWires, validateWire } from '../../../src/vnic/wires/parse.ts'
import type { Wire } from '../../../src/vnic/wires/wire.ts'
import { FakePort, countersOf, someFrame } from './fake-port.ts'

const FRAME = someFrame(1, 60)

function make(text: string): Wire {
  return parseWires(text, { ledger: new Ledger(), linkMbit: 10_000, work: [], log: () => undefined })
}

/** Offers frames of 60 bytes evenly for `milliseconds` from `from` on, and polls as often; returns how many came back. */
function offer(wire: Wire, port: FakePort, load: number, milliseconds: number, from = 0): number {
  const count = Math.round((load * milliseconds) / 1000)
  let back = 0
  for (let i = 0; i < count; i++) {
    const now = from + (i * 1000) / load
    if (!wire.send(FRAME, 0, 60, now)) throw new Error('the NIC was told to wait')
    back += wire.poll(port, 64, now)
    port.take()
  }
  return back
}

test('a loop with a rate sends back as much, and drops by name what finds its queue full', () => {
  const wire = make('loop,rate=100kpps,queue=50')
  const port = new FakePort()
  const back = offer(wire, port, 150_000, 1000)
  expect(Math.abs(back - 100_000)).toBeLessThanOrEqual(2)
  const overrun = countersOf(wire)['overrun'] ?? NaN
  const held = 150_000 - back - overrun
  expect(held).toBeGreaterThanOrEqual(49)
  expect(held).toBeLessThanOrEqual(50)
  expect(countersOf(wire)).toMatchObject({ arrived: 150_000, sent: back })
  const { out, in: towards } = wire.account()
  expect(out).toMatchObject({
    arrived: back,
    held,
    lost: [{ cause: 'overrun', frames: overrun }],
  })
  expect(towards.returned).toBe(back)
})

test('below its rate it loses nothing, whenever it is looked at', () => {
  const wire = make('loop,rate=100kpps,queue=50')
  const port = new FakePort()
  offer(wire, port, 99_000, 500)
  // A burst of what the queue holds, after a rest that is worth no credit.
  for (let i = 0; i < 50; i++) wire.send(someFrame(i, 60), 0, 60, 1000)
  expect(wire.poll(port, 64, 1000)).toBeLessThanOrEqual(50)
  wire.poll(port, 64, 1002)
  offer(wire, port, 99_000, 500, 1002)
  expect(countersOf(wire)['overrun']).toBe(0)
})

test('a rest saves nothing for later', () => {
  const wire = make('loop,rate=1kpps,queue=5')
  const port = new FakePort()
  wire.poll(port, 64, 0)
  wire.poll(port, 64, 10_000)
  for (let i = 0; i < 7; i++) wire.send(someFrame(i, 60), 0, 60, 10_000)
  expect(countersOf(wire)).toMatchObject({ arrived: 7, overrun: 2, sent: 0 })
  expect(wire.nextEvent(10_000)).toBeCloseTo(10_001)
  expect([wire.poll(port, 64, 10_000.5), wire.poll(port, 64, 10_001), wire.poll(port, 64, 10_003)]).toEqual([
    0, 1, 2,
  ])
})

test('bits count with all that they take on the wire', () => {
  const wire = make('loop,rate=672kbit')
  const port = new FakePort()
  for (let i = 0; i < 10; i++) wire.send(someFrame(i, 60), 0, 60, 0)
  wire.poll(port, 64, 0)
  // 84 bytes are 672 bits.
  expect(wire.poll(port, 64, 5)).toBe(5)
})

test('it waits for nobody: what the NIC has no descriptor for is missed there', () => {
  const wire = make('loop,rate=1kpps')
  const port = new FakePort(4)
  for (let i = 0; i < 10; i++) wire.send(someFrame(i, 60), 0, 60, 0)
  wire.poll(port, 64, 0)
  expect([wire.poll(port, 64, 10), port.missed, countersOf(wire)['undelivered']]).toEqual([10, 6, 6])
})

test.each([
  ['loop,queue=5', /has a queue, but no rate/],
  ['loop,rate=max', /no limit/],
  ['loop,rate=20Gbit', /more than the link carries/],
  ['loop,rate=1kpps,queue=0', /queue=0 is not valid/],
])('%s is refused', (text, why) => expect(() => validateWire(text)).toThrow(why))
