import type { Bytes } from '../../../src/packet/bytes.ts'
import { FaultWire, type FaultOptions } from '../../../src/vnic/wires/fault.ts'
import { GenWire } from '../../../src/vnic/wires/gen.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { SinkWire } from '../../../src/vnic/wires/sink.ts'
import type { Port, Wire } from '../../../src/vnic/wires/wire.ts'
import { countersOf, FakePort, pollAll, someFrame } from './fake-port.ts'

const NO_FAULTS: FaultOptions = {
  drop: 0,
  corrupt: 0,
  dup: 0,
  reorder: 0,
  linkFlap: null,
  unplugged: 0,
  seed: 1,
}

/** Keeps what it gets; refuses every `refuseEvery`th offer. Delivers what it is told to, whether the link is up or not. */
class Keeper extends SinkWire {
  readonly got: string[] = []
  readonly toCard: Bytes[] = []
  private offers = 0
  private readonly refuseEvery: number

  constructor(refuseEvery = Infinity) {
    super('keeper', null)
    this.refuseEvery = refuseEvery
  }

  override poll(port?: Port): number {
    const frames = this.toCard.splice(0)
    for (const frame of frames) port?.deliver(frame, 0, frame.u8.length)
    return frames.length
  }

  override send(memory: Bytes, offset: number, length: number, now: number): boolean {
    if (++this.offers % this.refuseEvery === 0) return false
    this.got.push(Buffer.from(memory.u8.buffer, offset, length).toString('hex'))
    return super.send(memory, offset, length, now)
  }
}

/** Offers a frame until it is taken, as a NIC does. */
function push(wire: Wire, frame: Bytes, now = 0): void {
  for (let tries = 0; !wire.send(frame, 0, frame.u8.length, now); tries++)
    if (tries > 3) throw new Error('never taken')
}

/** `count` distinct frames out through the faults; returns them and what came through, as hex. */
function through(options: Partial<FaultOptions>, count: number, refuseEvery?: number) {
  const keeper = new Keeper(refuseEvery)
  const wire = new FaultWire('fault', { ...NO_FAULTS, ...options }, keeper)
  const sent: string[] = []
  for (let i = 0; i < count; i++) {
    const frame = someFrame(i)
    sent.push(Buffer.from(frame.u8.buffer).toString('hex'))
    push(wire, frame)
  }
  pollAll(wire, new FakePort(), 1000)
  return { sent, got: keeper.got, counters: countersOf(wire, 1) }
}

/** A generator behind faults, whose frames are all received again: their tally and the faults' counters. */
function generate(options: Partial<FaultOptions>, count: number) {
  const ledger = new Ledger(1)
  const source = new GenWire('gen', { sizes: [60], flows: 1, rate: null, count }, ledger, true)
  const wire = new FaultWire('fault', { ...NO_FAULTS, ...options }, source)
  const port = new FakePort(count * 2)
  pollAll(wire, port, 0)
  pollAll(wire, port, 1000)
  const delivered = port.frames.length
  port.forward(source)
  return {
    tally: ledger.tally(0),
    faults: countersOf(wire, 1),
    delivered,
    missed: port.missed,
    ended: wire.ended(),
  }
}

test('without faults everything passes both ways', () => {
  const { sent, got } = through({}, 100)
  expect(got).toEqual(sent)
  expect(generate({}, 100).tally).toMatchObject({ received: 100, lost: 0 })
})

describe('towards the wire', () => {
  test('drop: what is missing is what was counted, and about as much as asked for', () => {
    const { sent, got, counters } = through({ drop: 0.1 }, 5000)
    expect(counters.outDropped).toBe(sent.length - got.length)
    expect(counters.outDropped).toBeGreaterThan(400)
    expect(counters.outDropped).toBeLessThan(600)
    expect(sent.filter((frame) => got.includes(frame))).toEqual(got)
  })

  test('corrupt: one bit differs, and the sender’s memory stays as it is', () => {
    const { sent, got, counters } = through({ corrupt: 1 }, 300)
    expect(counters.outCorrupted).toBe(300)
    got.forEach((frame, i) => {
      const [a, b] = [Buffer.from(frame, 'hex'), Buffer.from(sent[i], 'hex')]
      const differing = [...a].flatMap((byte, at) => (byte === b[at] ? [] : [{ at, bits: byte ^ b[at] }]))
      expect(differing.length).toBe(1)
      expect(differing[0].at).not.toBe(48)
      expect([1, 2, 4, 8, 16, 32, 64, 128]).toContain(differing[0].bits)
    })
  })

  test('dup: twice in a row', () => {
    const { sent, got, counters } = through({ dup: 1 }, 100)
    expect(counters.outDuplicated).toBe(100)
    expect(got).toEqual(sent.flatMap((frame) => [frame, frame]))
  })

  test('reorder: every frame is there, neighbours have changed places', () => {
    const { sent, got, counters } = through({ reorder: 0.2 }, 1000)
    const swapped = got.filter((frame, i) => frame !== sent[i]).length / 2
    expect(swapped).toBe(counters.outReordered)
    expect(swapped).toBeGreaterThan(100)
    expect([...got].sort()).toEqual([...sent].sort())
  })

  test('reorder: a frame that none overtakes comes out by itself after 10 ms', () => {
    const keeper = new Keeper()
    const wire = new FaultWire('fault', { ...NO_FAULTS, reorder: 1 }, keeper)
    const port = new FakePort()
    push(wire, someFrame(1), 100)
    wire.poll(port, 64, 105)
    expect(keeper.got.length).toBe(0)
    expect(wire.nextEvent(105)).toBe(110)
    wire.poll(port, 64, 110)
    expect(keeper.got.length).toBe(1)
    expect(countersOf(wire, 1).outReordered).toBe(0)
    expect(wire.nextEvent(111)).toBe(Infinity)
  })

  test('the same seed gives the same faults, another one others', () => {
    const all = { drop: 0.1, corrupt: 0.1, dup: 0.1, reorder: 0.1 }
    expect(through({ ...all, seed: 7 }, 500).got).toEqual(through({ ...all, seed: 7 }, 500).got)
    expect(through({ ...all, seed: 7 }, 500).got).not.toEqual(through({ ...all, seed: 8 }, 500).got)
  })

  test('a wire that refuses frames now and then changes nothing but their duplicates', () => {
    const all = { drop: 0.1, corrupt: 0.1, reorder: 0.1, seed: 3 }
    const refused = through(all, 500, 3)
    const free = through(all, 500)
    expect([...refused.got].sort()).toEqual([...free.got].sort())
    expect(refused.counters).toMatchObject({
      outDropped: free.counters.outDropped,
      outCorrupted: free.counters.outCorrupted,
    })
    // Each fifth offer is always an original, each fourth also a copy.
    for (const refuseEvery of [5, 4]) {
      const dup = through({ dup: 1 }, 500, refuseEvery)
      expect(dup.got.length).toBe(500 + dup.counters.outDuplicated)
      expect(new Set(dup.got).size).toBe(500)
      expect(dup.counters.outReordered).toBe(0)
    }
  })
})

describe('towards the NIC', () => {
  test('drop is what the generator finds lost', () => {
    const { tally, faults } = generate({ drop: 0.01 }, 20_000)
    expect(faults.inDropped).toBeGreaterThan(100)
    expect(tally).toMatchObject({
      sent: 20_000,
      undelivered: 0,
      lost: faults.inDropped,
      corrupted: 0,
      duplicated: 0,
    })
  })

  test('so are corrupt, dup and reorder, together', () => {
    const { tally, faults, ended } = generate({ corrupt: 0.05, reorder: 0.05 }, 20_000)
    expect(tally).toMatchObject({ lost: 0, corrupted: faults.inCorrupted })
    expect(tally.reordered).toBeGreaterThan(800)
    expect(tally.reordered).toBeLessThanOrEqual(faults.inReordered)
    expect(ended).toBe(true)
    expect(generate({ reorder: 0.1, drop: 0.1 }, 10_000)).toMatchObject({ missed: 0 })
  })

  test('dup takes descriptors, too: none is missed for it', () => {
    const { tally, faults, delivered, missed } = generate({ dup: 0.3, reorder: 0.1 }, 5000)
    expect(missed).toBe(0)
    expect(delivered).toBe(5000 + faults.inDuplicated)
    expect(tally).toMatchObject({ received: 5000, duplicated: faults.inDuplicated, lost: 0 })
  })

  test('a full ring never has to take more than it has room for', () => {
    const source = new GenWire('gen', { sizes: [60], flows: 1, rate: null, count: null }, new Ledger(1), true)
    const wire = new FaultWire('fault', { ...NO_FAULTS, dup: 0.5, reorder: 0.5 }, source)
    const port = new FakePort(0)
    for (let round = 0; round < 500; round++) {
      port.descriptors += round % 7
      wire.poll(port, 64, round)
    }
    expect(port.missed).toBe(0)
    expect(port.frames.length).toBeGreaterThan(1000)
  })
})

describe('link flaps', () => {
  const flap = (plugged: number, unplugged: number) => ({ ...NO_FAULTS, linkFlap: { plugged, unplugged } })

  test('start when the host listens, last as long as asked for, and are counted', () => {
    const port = new FakePort()
    port.receiving = false
    const wire = new FaultWire('fault', flap(1000, 500), new SinkWire('sink', null))
    wire.poll(port, 64, 0)
    expect(wire.nextEvent(0)).toBe(Infinity)
    port.receiving = true
    const states: string[] = []
    for (let now = 10_000; now < 13_500; now += 250) {
      wire.poll(port, 64, now)
      states.push(port.up ? 'up' : 'down')
    }
    const up = ['up', 'up', 'up', 'up']
    expect(states).toEqual([...up, 'down', 'down', ...up, 'down', 'down', 'up', 'up'])
    expect(countersOf(wire, 1).linkFlaps).toBe(2)
    expect(wire.nextEvent(13_300)).toBe(14_000)
  })

  test('unplugged= keeps the cable out at first, then it stays in', () => {
    const port = new FakePort()
    const wire = new FaultWire('fault', { ...NO_FAULTS, unplugged: 500 }, new SinkWire('sink', null))
    const states: string[] = []
    for (let now = 10_000; now <= 11_000; now += 250) {
      wire.poll(port, 64, now)
      states.push(port.up ? 'up' : 'down')
    }
    expect(states).toEqual(['down', 'down', 'up', 'up', 'up'])
    expect(wire.nextEvent(11_000)).toBe(Infinity)
  })

  test('what is sent or held while the cable is out vanishes, and is counted by direction', () => {
    const keeper = new Keeper()
    const port = new FakePort()
    const wire = new FaultWire('fault', { ...flap(100, 100), reorder: 1 }, keeper)
    wire.poll(port, 64, 0)
    push(wire, someFrame(1), 95)
    keeper.toCard.push(someFrame(11))
    wire.poll(port, 64, 95)
    wire.poll(port, 64, 100)
    push(wire, someFrame(2), 101)
    keeper.toCard.push(someFrame(12), someFrame(13))
    wire.poll(port, 64, 199)
    expect([keeper.got, port.frames]).toEqual([[], []])
    expect(countersOf(wire, 1).lostUnplugged).toBe(5)
    const { in: into, out } = wire.account()
    const unplugged = [into, out].map(({ lost }) => lost.find(({ cause }) => cause === 'unplugged')?.frames)
    expect(unplugged).toEqual([3, 2])
    expect([into.held, out.held]).toEqual([0, 0])
    wire.poll(port, 64, 200)
    push(wire, someFrame(3), 201)
    push(wire, someFrame(4), 202)
    expect(keeper.got.length).toBe(2)
    expect(countersOf(wire, 1)).toMatchObject({ lostUnplugged: 5, outReordered: 1 })
  })

  test('the account has what the faults have done, by direction', () => {
    const keeper = new Keeper()
    const port = new FakePort()
    const outcome = (options: Partial<FaultOptions>) => {
      const wire = new FaultWire('fault', { ...NO_FAULTS, ...options }, keeper)
      for (let i = 0; i < 3; i++) push(wire, someFrame(i))
      keeper.toCard.push(someFrame(3), someFrame(4))
      wire.poll(port, 64, 0)
      const { in: into, out } = wire.account()
      return [into, out].map(({ copies, corrupted, held, lost }) => ({ copies, corrupted, held, lost }))
    }
    const nothing = { copies: 0, corrupted: 0, held: 0, lost: [] }
    const both = (use: (frames: number) => object): object[] => [2, 3].map((n) => ({ ...nothing, ...use(n) }))
    expect(outcome({})).toEqual(both(() => ({})))
    expect(outcome({ drop: 1 })).toEqual(
      both((frames) => ({ lost: [{ place: 'fault', cause: 'dropped', frames }] })),
    )
    expect(outcome({ corrupt: 1 })).toEqual(both((corrupted) => ({ corrupted })))
    expect(outcome({ dup: 1 })).toEqual(both((copies) => ({ copies })))
    // Every other one overtakes the one before.
    expect(outcome({ reorder: 1 })).toEqual(both((frames) => ({ held: frames % 2 })))
  })

  test('stop() plugs the cable again, for good', () => {
    const port = new FakePort()
    const wire = new FaultWire('fault', flap(100, 100), new SinkWire('sink', null))
    wire.poll(port, 64, 0)
    wire.poll(port, 64, 100)
    expect(port.up).toBe(false)
    wire.stop()
    expect(wire.nextEvent(150)).toBe(200)
    wire.poll(port, 64, 200)
    expect(port.up).toBe(true)
    wire.poll(port, 64, 500)
    expect(port.up).toBe(true)
    expect(wire.nextEvent(500)).toBe(Infinity)
  })

  test('a generator waits for the cable', () => {
    const source = new GenWire('gen', { sizes: [60], flows: 1, rate: 1000, count: null }, new Ledger(1), true)
    const wire = new FaultWire('fault', flap(100, 100), source)
    const port = new FakePort()
    for (let now = 0; now <= 1000; now++) wire.poll(port, 64, now)
    expect(countersOf(wire, 0).undelivered).toBe(0)
    expect(port.frames.length).toBeGreaterThan(480)
    expect(port.frames.length).toBeLessThan(520)
    expect(countersOf(wire, 1).lostUnplugged).toBe(0)
  })
})
