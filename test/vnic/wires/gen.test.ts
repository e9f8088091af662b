import { EthernetFrame } from '../../../src/packet/ethernet.ts'
import { formatIpv4, Ipv4Packet } from '../../../src/packet/ipv4.ts'
import { IMIX_SIZES } from '../../../src/packet/template.ts'
import { UdpDatagram } from '../../../src/packet/udp.ts'
import { Burst } from '../../../src/vnic/burst.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { type GenOptions, GenWire } from '../../../src/vnic/wires/gen.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { SinkWire } from '../../../src/vnic/wires/sink.ts'
import { countersOf, FakePort, pollAll, someFrame } from './fake-port.ts'

function gen(options: Partial<GenOptions> = {}, ledger = new Ledger(1)): GenWire {
  return new GenWire('gen', { sizes: [60], flows: 1, rate: null, count: null, ...options }, ledger, true)
}

function dissect(frame: Uint8Array) {
  const [ethernet, ip, udp] = [new EthernetFrame(), new Ipv4Packet(), new UdpDatagram()]
  ethernet.wrap(frame)
  ip.wrap(frame, ethernet.payloadOffset, ethernet.payloadLength)
  udp.wrap(frame, ip.payloadOffset, ip.payloadLength)
  return { ethernet, ip, udp }
}

describe('what it sends', () => {
  test.each([60, 61, 1514])('%i bytes of proper UDP with the sequence number at 56', (size) => {
    const port = new FakePort(100)
    pollAll(gen({ sizes: [size] }), port)
    port.take().forEach((frame, i) => {
      const { ip, udp } = dissect(frame)
      expect(frame.length).toBe(size)
      expect([formatIpv4(ip.source), formatIpv4(ip.destination), ip.checksumOk, ip.length]).toEqual([
        '10.0.0.1',
        '10.0.0.2',
        true,
        size - 14,
      ])
      expect([udp.sourcePort, udp.destinationPort, udp.checksum]).toEqual([42, 1337, 0])
      expect(frame.readUInt32LE(56)).toBe(i)
      expect(frame[48]).toBe(0)
    })
  })

  test('flows take turns', () => {
    const port = new FakePort(20)
    pollAll(gen({ flows: 5 }), port, 0, 7)
    expect(port.take().map((frame) => dissect(frame).udp.sourcePort)).toEqual(
      Array.from({ length: 20 }, (_, i) => 42 + (i % 5)),
    )
  })

  test('imix has its sizes, and every frame passes the check', () => {
    const ledger = new Ledger(1)
    const source = gen({ sizes: IMIX_SIZES, flows: 64 }, ledger)
    const port = new FakePort(12 * 64)
    pollAll(source, port, 0, 50)
    expect(port.lengths.slice(0, 12)).toEqual(IMIX_SIZES)
    expect(port.lengths.filter((length) => length === 1514).length).toBe(64)
    port.forward(source)
    expect(countersOf(source)).toMatchObject({
      received: 768,
      corrupted: 0,
      reordered: 0,
      foreign: 0,
      lost: 0,
    })
  })
})

describe('without rate', () => {
  test('it sends as many as there are descriptors, and never more than the budget', () => {
    const port = new FakePort(100)
    const source = gen()
    expect(source.poll(port, 64, 0)).toBe(64)
    expect(source.poll(port, 64, 0)).toBe(36)
    expect(source.poll(port, 64, 0)).toBe(0)
    port.descriptors = 5
    expect(source.poll(port, 64, 0)).toBe(5)
    expect(port.missed).toBe(0)
    expect(countersOf(source)).toMatchObject({ sent: 105, undelivered: 0 })
    expect(source.nextEvent(0)).toBe(Infinity)
  })

  test('it waits while nobody listens', () => {
    const port = new FakePort()
    port.receiving = false
    const source = gen()
    expect(source.poll(port, 64, 0)).toBe(0)
    port.receiving = true
    expect(source.poll(port, 64, 0)).toBe(64)
  })
})

describe('with rate', () => {
  test('it sends by the clock, and what finds no descriptor is missed', () => {
    const port = new FakePort(10)
    const source = gen({ rate: 1000 })
    for (let now = 0; now <= 100; now += 0.5) source.poll(port, 64, now)
    expect(countersOf(source)).toMatchObject({ sent: 101, undelivered: 91 })
    expect(port.missed).toBe(91)
    expect(port.frames.length).toBe(10)
  })

  test('its clock starts when somebody listens, and anew after a link flap', () => {
    const port = new FakePort()
    port.up = false
    const source = gen({ rate: 1000 })
    expect(source.poll(port, 64, 0)).toBe(0)
    expect(source.nextEvent(0)).toBe(Infinity)
    port.up = true
    expect(source.poll(port, 64, 1000)).toBe(1)
    expect(source.nextEvent(1000)).toBeCloseTo(1001)
    port.up = false
    source.poll(port, 64, 1001)
    port.up = true
    expect(source.poll(port, 64, 3000)).toBe(1)
  })
})

describe('its end', () => {
  test('comes after count frames', () => {
    const port = new FakePort()
    const source = gen({ count: 100 })
    expect(source.finite).toBe(true)
    source.poll(port, 64, 0)
    expect(source.ended()).toBe(false)
    expect(source.poll(port, 64, 0)).toBe(36)
    expect(source.ended()).toBe(true)
    expect(source.poll(port, 64, 0)).toBe(0)
    expect(port.frames.length).toBe(100)
  })

  test('is a matter of being stopped otherwise; what arrives still counts', () => {
    const port = new FakePort()
    const source = gen()
    source.poll(port, 10, 0)
    expect([source.finite, source.ended()]).toEqual([false, false])
    source.stop()
    expect(source.ended()).toBe(true)
    expect(source.poll(port, 64, 0)).toBe(0)
    port.forward(source)
    expect(countersOf(source)).toMatchObject({ sent: 10, received: 10, arrived: 10, lost: 0 })
  })
})

test('two generators, a port each, judge each other’s frames', () => {
  const ledger = new Ledger(1)
  const [a, b] = [gen({ flows: 3 }, ledger), gen({ sizes: [100] }, ledger)]
  const [portA, portB] = [new FakePort(), new FakePort()]
  a.poll(portA, 20, 0)
  b.poll(portB, 30, 0)
  portA.frames.pop()
  portA.lengths.pop()
  portB.frames[7].u8[70] ^= 4
  portA.forward(b)
  portB.forward(a)
  b.send(someFrame(1), 0, 60)
  expect(countersOf(a)).toMatchObject({
    sent: 20,
    received: 19,
    lost: 1,
    corrupted: 0,
    arrived: 30,
    foreign: 0,
  })
  expect(countersOf(b)).toMatchObject({
    sent: 30,
    received: 29,
    lost: 0,
    corrupted: 1,
    arrived: 20,
    foreign: 1,
  })
  expect(ledger.outstanding()).toBe(1)
})

test('what is nobody’s is foreign in a burst as well', () => {
  const burst = new Burst()
  burst.count = 3
  burst.offsets.fill(sharedSpace().take(64), 0, 3)
  burst.lengths.fill(60, 0, 3)
  const source = gen({}, new Ledger(1))
  expect(source.sendBurst(burst)).toBe(3)
  expect(countersOf(source)).toMatchObject({ arrived: 3, foreign: 3, received: 0 })
})

test('a sink books as well', () => {
  const ledger = new Ledger(1)
  const source = gen({}, ledger)
  const sink = new SinkWire('sink', ledger)
  const port = new FakePort(10)
  source.poll(port, 64, 0)
  port.forward(sink)
  sink.send(someFrame(2), 0, 60, 0)
  expect(countersOf(sink)).toMatchObject({ arrived: 11, bytes: 660, foreign: 1 })
  expect(countersOf(source)).toMatchObject({ sent: 10, received: 10, lost: 0 })
})
