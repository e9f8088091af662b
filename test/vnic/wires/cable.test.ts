import type { Port } from '../../../src/vnic/wires/wire.ts'
import { cable, loop } from '../../../src/vnic/wires/cable.ts'
import { GenWire } from '../../../src/vnic/wires/gen.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { countersOf, FakePort, pollAll, someFrame } from './fake-port.ts'

function sendAll(wire: ReturnType<typeof loop>, from: number, to: number, now = 0): number {
  let taken = 0
  for (let i = from; i < to && wire.send(someFrame(i, 60 + (i % 9)), 0, 60 + (i % 9), now); i++) taken++
  return taken
}

const frames = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    Buffer.from(someFrame(from + i, 60 + ((from + i) % 9)).u8.subarray(0, 60 + ((from + i) % 9))),
  )

describe('a cable', () => {
  test('what one NIC sends the other gets, byte for byte and in order, both ways', () => {
    const [a, b] = cable(['A', 'B'])
    const [portA, portB] = [new FakePort(), new FakePort()]
    sendAll(a, 0, 100)
    sendAll(b, 100, 150)
    expect(pollAll(a, portA)).toBe(50)
    expect(pollAll(b, portB)).toBe(100)
    expect(portB.take()).toEqual(frames(0, 100))
    expect(portA.take()).toEqual(frames(100, 150))
    expect(a.reports()).toEqual([
      { wire: 'cable to B', counters: { arrived: 100, overrun: 0, sent: 50, undelivered: 0, pauses: 0 } },
    ])
    expect(pollAll(a, portA) + pollAll(b, portB)).toBe(0)
  })

  test('holds nobody up: what the receiver has no descriptor for is its affair', () => {
    const [a, b] = cable(['A', 'B'])
    const port = new FakePort(4)
    sendAll(a, 0, 10)
    expect(b.nextEvent(1000)).toBe(1000)
    expect(b.poll(port, 64, 1000)).toBe(10)
    expect([port.take(), port.missed, countersOf(b).undelivered]).toEqual([frames(0, 4), 6, 6])
  })

  test('frames of a NIC that is to be silent stay where they are until its time is over', () => {
    const [a, b] = cable(['A', 'B'])
    const [portA, portB] = [new FakePort(), new FakePort()]
    pollAll(a, portA, 999)
    sendAll(a, 0, 3)
    portA.pausedUntil = 1002
    expect([b.poll(portB, 64, 1000), b.nextEvent(1000)]).toEqual([0, 1002])
    expect(b.account().in.returned).toBe(0)
    expect(a.account().out).toMatchObject({ arrived: 0, held: 3, lost: [] })
    // The other direction goes on.
    sendAll(b, 3, 5)
    expect(a.poll(portA, 64, 1001)).toBe(2)
    expect(b.poll(portB, 64, 1002)).toBe(3)
    expect(portB.take()).toEqual(frames(0, 3))
  })

  test('nothing is lost by a long silence, however full the cable is', () => {
    const [a, b] = cable(['A', 'B'], 1024)
    const [portA, portB] = [new FakePort(), new FakePort()]
    pollAll(a, portA)
    portA.pausedUntil = 2000
    let taken = 0
    for (let now = 1000; now < 2000; now += 10) {
      taken += sendAll(a, taken, 100, now)
      b.poll(portB, 64, now)
    }
    expect(sendAll(a, taken, 100, 2000)).toBe(0)
    expect(pollAll(b, portB, 2000)).toBe(taken)
    expect(countersOf(a)).toMatchObject({ arrived: taken, overrun: 0 })
  })

  test('a frame with a time stamp arrives when it has left, however long it waits', () => {
    const [a, b] = cable(['A', 'B'])
    const times: (number | undefined)[] = []
    const portB = new (class extends FakePort {
      override deliver(...[memory, offset, length, left]: Parameters<Port['deliver']>): boolean {
        times.push(left)
        return super.deliver(memory, offset, length)
      }
    })()
    const portA = new FakePort()
    for (let round = 0; round < 2; round++) {
      sendAll(a, 0, 2)
      a.stamped(10 + round)
      sendAll(a, 2, 4)
      b.poll(portB, round, 1000)
      a.stamped(20 + round)
      pollAll(b, portB, 2000)
    }
    // The other direction knows nothing of it.
    sendAll(b, 0, 1)
    pollAll(a, portA)
    const none = undefined
    expect(times).toEqual([none, 10, none, 20, none, 11, none, 21])
  })

  test('silence that is asked for while frames come in begins with the next frame', () => {
    const [a, b] = cable(['A', 'B'])
    const portA = new FakePort()
    const portB = new (class extends FakePort {
      override deliver(...frame: Parameters<FakePort['deliver']>): boolean {
        if (this.frames.length === 1) portA.pausedUntil = 2000
        return super.deliver(...frame)
      }
    })()
    pollAll(a, portA)
    sendAll(a, 0, 9)
    expect(b.poll(portB, 64, 1000)).toBe(2)
  })

  test('a frame of the MAC itself overtakes all others, and is no frame unless the other MAC passes it on', () => {
    const [a, b] = cable(['A', 'B'])
    const [portA, portB] = [new FakePort(), new FakePort()]
    // Nobody is there yet.
    b.control(someFrame(8), 0, 60)
    pollAll(a, portA)
    pollAll(b, portB)
    sendAll(b, 0, 2)
    b.control(someFrame(9), 0, 60)
    expect(portA.controls).toEqual([Buffer.from(someFrame(9).u8)])
    expect([a.account().in.returned, b.account().out.arrived]).toEqual([0, 0])
    portA.passesControl = true
    b.control(someFrame(10), 0, 60)
    expect([a.account().in.returned, b.account().out.held]).toEqual([1, 2])
    expect([countersOf(a).pauses, countersOf(b).pauses]).toEqual([0, 3])
  })

  test('what arrives while nobody listens is lost at once', () => {
    const [a, b] = cable(['A', 'B'])
    const port = new FakePort()
    port.receiving = false
    sendAll(a, 0, 3)
    expect(b.poll(port, 64, 0)).toBe(3)
    expect(port.missed).toBe(3)
  })

  test('an end that is never polled stops the sender for 100 ms only', () => {
    const [a] = cable(['A', 'B'], 1024)
    const taken = sendAll(a, 0, 100, 50)
    expect(taken).toBeGreaterThan(5)
    expect(taken).toBeLessThan(20)
    expect(sendAll(a, taken, taken + 1, 149)).toBe(0)
    expect(sendAll(a, taken, taken + 1, 150)).toBe(1)
    expect(countersOf(a)).toMatchObject({ arrived: taken + 1, overrun: 1 })
    expect(a.account().out).toMatchObject({
      arrived: 0,
      held: taken,
      lost: [{ cause: 'overrun', frames: 1 }],
    })
  })

  test('ends once it was stopped and what is on its way has arrived', () => {
    const [a, b] = cable(['A', 'B'])
    sendAll(a, 0, 3)
    b.stop()
    expect(b.ended()).toBe(false)
    expect(pollAll(b, new FakePort())).toBe(3)
    expect(b.ended()).toBe(true)
  })
})

describe('a loop', () => {
  test('gives back what it gets', () => {
    const wire = loop('loop')
    const port = new FakePort()
    sendAll(wire, 0, 40)
    expect(pollAll(wire, port)).toBe(40)
    expect(port.take()).toEqual(frames(0, 40))
    expect(wire.reports()).toEqual([
      { wire: 'loop', counters: { arrived: 40, overrun: 0, sent: 40, undelivered: 0 } },
    ])
  })

  test('holds the NIC up while it has no descriptor, and loses nothing', () => {
    const wire = loop('loop', 4096)
    const port = new FakePort(0)
    const total = 500
    let next = 0
    for (let now = 0; port.frames.length < total; now += 10) {
      next += sendAll(wire, next, total, now)
      port.descriptors = 7
      pollAll(wire, port, now)
      expect(now).toBeLessThan(2000)
    }
    expect(port.take()).toEqual(frames(0, total))
    expect(countersOf(wire)).toMatchObject({ overrun: 0, undelivered: 0 })
  })

  test('gives up on a NIC that takes nothing for 100 ms; frames are then missed there', () => {
    const wire = loop('loop')
    const port = new FakePort(0)
    sendAll(wire, 0, 10)
    expect(wire.poll(port, 64, 1000)).toBe(0)
    expect(wire.nextEvent(1000)).toBe(1100)
    expect(wire.poll(port, 64, 1099)).toBe(0)
    expect(wire.poll(port, 64, 1100)).toBe(10)
    expect(port.missed).toBe(10)
    expect(countersOf(wire).undelivered).toBe(10)
    sendAll(wire, 10, 12)
    expect(wire.poll(port, 64, 1101)).toBe(2)
    port.descriptors = 1
    sendAll(wire, 12, 14)
    expect(wire.poll(port, 64, 1102)).toBe(1)
    expect(wire.poll(port, 64, 1103)).toBe(0)
    expect(port.take()).toEqual(frames(12, 13))
  })
})

test('a generator’s frames survive loop after loop', () => {
  const ledger = new Ledger(1)
  const source = new GenWire('gen', { sizes: [61], flows: 3, rate: null, count: 5000 }, ledger, true)
  const back = loop('loop', 16384)
  const [near, far] = [new FakePort(100), new FakePort(100)]
  for (let now = 0; countersOf(source).received < 5000 && now < 10_000; now++) {
    near.descriptors = far.descriptors = 100
    pollAll(source, near, now)
    near.forward(back, now)
    pollAll(back, far, now)
    far.forward(source, now)
  }
  expect(countersOf(source)).toMatchObject({
    received: 5000,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
  })
})
