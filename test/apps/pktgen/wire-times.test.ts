/** The sampler of the main thread, against a card and workers of a few lines. */
import { noWireTimes, WireTimes } from '../../../src/apps/pktgen/wire-times.ts'
import { WireDesk } from '../../../src/apps/pktgen/wire-desk.ts'
import type { PacketStamps, StampedPacket } from '../../../src/driver/device.ts'

const SOURCE = 0xbeef

class Bench implements PacketStamps {
  time = 0
  started = 0
  taken = 0
  /** What take() gives, once. */
  next: StampedPacket | null = null
  private readonly memory = WireDesk.allocate()
  readonly desk = new WireDesk(this.memory)
  readonly times = new WireTimes(
    this,
    { desk: this.memory, port: 1337, streams: [true], source: SOURCE },
    () => this.time,
  )

  start(): void {
    this.started++
  }

  take(): StampedPacket | null {
    const { next } = this
    this.taken++
    this.next = null
    return next
  }

  /** A packet goes out; it is back after `roundTrip` ns, of which the card says `onWire`. */
  pass(roundTrip: number, onWire: number, whose: Partial<StampedPacket> = {}): number {
    const number = this.send()
    this.next = { nanoseconds: onWire, sequence: number & 0xffff, source: SOURCE, ...whose }
    this.desk.back(number & 0xffff, roundTrip)
    this.times.look()
    return number
  }

  send(): number {
    const number = this.desk.due
    expect(number).toBeGreaterThan(0)
    this.desk.sent(number)
    expect(this.desk.due).toBe(0)
    return number
  }
}

let bench: Bench
beforeEach(() => {
  bench = new Bench()
  bench.times.begin()
})
afterEach(() => bench.times.end())

test('time on the wire, and the rest of the round trip', () => {
  for (let i = 1; i <= 1000; i++) bench.pass(i * 1000 + 500, i * 1000)
  const { wireMicroseconds, programMicroseconds, ...counts } = bench.times.result()
  expect(counts).toEqual({
    unavailable: null,
    sent: 1000,
    count: 1000,
    lost: 0,
    unstamped: 0,
    disbelieved: 0,
  })
  expect(wireMicroseconds).toMatchObject({ min: 1, max: 1000, mean: 500.5, p9999: null })
  expect(Math.abs((wireMicroseconds.p999 ?? NaN) - 999)).toBeLessThan(1)
  expect(programMicroseconds).toMatchObject({ min: 0.5, mean: 0.5, p50: 0.5, max: 0.5 })
})

test('a share is told only where there is a packet beyond it', () => {
  for (let i = 0; i < 99; i++) bench.pass(10, 5)
  expect(bench.times.result().wireMicroseconds).toMatchObject({ p90: 0.005, p99: null, p999: null })
  bench.pass(10, 5)
  expect(bench.times.result().wireMicroseconds).toMatchObject({ p99: 0.005, p999: null })
})

test.each<[string, number, number, Partial<StampedPacket>]>([
  ['of another number', 1000, 500, { sequence: 77 }],
  ['of another source', 1000, 500, { source: SOURCE ^ 1 }],
  ['longer than the round trip', 10_000, 12_000, {}],
  ['from before it was sent', 1000, -1, {}],
])('a stamp %s is not believed', (_, roundTrip, onWire, whose) => {
  bench.pass(roundTrip, onWire, whose)
  expect(bench.times.result()).toMatchObject({ sent: 1, count: 0, disbelieved: 1 })
  bench.pass(1000, 500)
  expect(bench.times.result()).toMatchObject({ sent: 2, count: 1, wireMicroseconds: { max: 0.5 } })
})

test('one that the card has no time of is counted apart', () => {
  bench.desk.back(bench.send(), 1000)
  bench.times.look()
  expect(bench.times.result()).toMatchObject({ sent: 1, count: 0, unstamped: 1 })
})

test('nothing is asked for while one is away; after two seconds it is lost, and what comes next isn’t believed', () => {
  const lost = bench.send()
  bench.time = 1999
  bench.times.look()
  expect([bench.desk.due, bench.times.result().lost]).toEqual([0, 0])
  bench.time = 2000
  bench.times.look()
  expect(bench.times.result()).toMatchObject({ sent: 1, lost: 1, count: 0 })
  // Late, it is no other one.
  bench.desk.back(lost, 3e9)
  bench.times.look()
  expect(bench.times.result()).toMatchObject({ sent: 1, count: 0 })
  // It may have left only now, and the card have kept that.
  bench.pass(1000, 500)
  expect(bench.times.result()).toMatchObject({ sent: 2, disbelieved: 1, count: 0 })
  bench.pass(1000, 500)
  expect(bench.times.result()).toMatchObject({ sent: 3, count: 1, lost: 1 })
})

test('one that nobody has sent yet is not lost, however long that takes', () => {
  bench.time = 1e6
  bench.times.look()
  expect(bench.times.result()).toMatchObject({ sent: 0, lost: 0 })
})

test('at the end the last one counts as what it is', () => {
  const number = bench.send()
  bench.next = { nanoseconds: 3, sequence: number, source: SOURCE }
  bench.desk.back(number, 5)
  bench.times.finish()
  bench.times.finish()
  expect(bench.times.result()).toMatchObject({ sent: 1, count: 1 })
  expect(bench.started).toBe(1)
})

test('a second copy changes nothing', () => {
  const number = bench.send()
  bench.desk.back(number, 700)
  bench.desk.back(number, 5_000_000)
  bench.next = { nanoseconds: 600, sequence: number, source: SOURCE }
  bench.times.look()
  expect(bench.times.result()).toMatchObject({ count: 1, programMicroseconds: { max: 0.1 } })
})

test('without a clock there is a reason instead', () => {
  const none = noWireTimes('tap:x stamps no packets')
  expect(none).toMatchObject({ unavailable: 'tap:x stamps no packets', sent: 0, count: 0 })
  expect(new Set(Object.values(none.wireMicroseconds))).toEqual(new Set([null]))
})
