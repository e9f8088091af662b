import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { checkPcap, PcapReader } from '../../../src/packet/pcap-reader.ts'
import { PcapWriter } from '../../../src/packet/pcap-writer.ts'
import { GenWire } from '../../../src/vnic/wires/gen.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { RecordWire } from '../../../src/vnic/wires/record.ts'
import { type ReplayOptions, ReplayWire } from '../../../src/vnic/wires/replay.ts'
import { countersOf, FakePort, pollAll, someFrame } from './fake-port.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-wires-'))
const input = path.join(folder, 'in.pcap')
const output = path.join(folder, 'out.pcap')
afterAll(() => rmSync(folder, { recursive: true }))

interface Packet {
  readonly seconds?: number
  readonly nanoseconds?: number
  readonly length: number
}

function writeInput(packets: readonly Packet[]): void {
  const writer = new PcapWriter(input)
  packets.forEach(({ seconds = 0, nanoseconds = 0, length }, i) =>
    writer.write(someFrame(i, length), 0, length, seconds, nanoseconds),
  )
  writer.close()
}

const bytes = (seed: number, length: number) => Buffer.from(someFrame(seed, length).u8.subarray(0, length))

function replay(options: Partial<ReplayOptions> = {}): ReplayWire {
  return new ReplayWire(
    'replay=in.pcap',
    { path: input, rate: null, repeat: 1, ...options },
    checkPcap(input),
    null,
  )
}

function readOutput() {
  const reader = new PcapReader(output)
  const packets: { time: number; data: Buffer }[] = []
  while (reader.next()) {
    const data = Buffer.from(reader.memory.u8.slice(reader.offset, reader.offset + reader.length))
    packets.push({ time: reader.seconds + reader.nanoseconds / 1e9, data })
  }
  reader.close()
  return packets
}

describe('record', () => {
  test('every frame, byte for byte and in order, with the time of sending', () => {
    const before = Date.now() / 1000
    const wire = new RecordWire('record=out.pcap', output, null)
    const sizes = [60, 61, 1514, 62, 9018, 63]
    sizes.forEach((length, i) =>
      expect(wire.send(someFrame(i, length), 0, length, 5000.25 + i * 700.5)).toBe(true),
    )
    wire.close()
    wire.close()
    const packets = readOutput()
    expect(packets.map(({ data }) => data)).toEqual(sizes.map((length, i) => bytes(i, length)))
    packets.forEach(({ time }, i) => expect(time - packets[0].time).toBeCloseTo(i * 0.7005, 6))
    expect(packets[0].time).toBeGreaterThan(before - 0.01)
    expect(packets[0].time).toBeLessThan(Date.now() / 1000 + 0.01)
    expect(countersOf(wire)).toEqual({ arrived: 6, bytes: sizes.reduce((a, b) => a + b), foreign: 0 })
  })

  test('is in the file after a second at most', () => {
    const wire = new RecordWire('record=out.pcap', output, null)
    const port = new FakePort()
    expect(wire.nextEvent()).toBe(Infinity)
    wire.send(someFrame(1), 0, 60, 10_000)
    wire.poll(port, 64, 10_500)
    expect(statSync(output).size).toBe(24)
    expect(wire.nextEvent()).toBe(11_000)
    wire.send(someFrame(2), 0, 60, 10_900)
    wire.poll(port, 64, 11_000)
    expect(statSync(output).size).toBe(24 + 2 * 76)
    expect(wire.nextEvent()).toBe(Infinity)
    wire.close()
  })

  test('books what generators send', () => {
    const ledger = new Ledger(1)
    const source = new GenWire('gen', { sizes: [60], flows: 1, rate: null, count: 9 }, ledger, true)
    const wire = new RecordWire('record=out.pcap', output, ledger)
    const port = new FakePort()
    pollAll(source, port)
    port.forward(wire)
    wire.send(someFrame(1), 0, 60, 0)
    wire.close()
    expect(ledger.tally(0)).toMatchObject({ received: 9, lost: 0 })
    expect(countersOf(wire)).toMatchObject({ arrived: 10, foreign: 1 })
  })
})

describe('replay', () => {
  const mixed = Array.from({ length: 2000 }, (_, i) => ({ length: 60 + ((i * 37) % 1455) }))

  test('every frame, byte for byte and in order, and waits when there is no descriptor', () => {
    writeInput(mixed)
    const wire = replay()
    const port = new FakePort(0)
    expect(wire.finite).toBe(true)
    for (let now = 0; !wire.ended(); now++) {
      port.descriptors = now % 50
      wire.poll(port, 32, now)
      expect(now).toBeLessThan(1000)
    }
    expect(port.missed).toBe(0)
    expect(
      Buffer.concat(port.take()).equals(Buffer.concat(mixed.map(({ length }, i) => bytes(i, length)))),
    ).toBe(true)
    expect(countersOf(wire)).toEqual({
      sent: 2000,
      undelivered: 0,
      padded: 0,
      cut: 0,
      unusable: 0,
      arrived: 0,
      foreign: 0,
    })
    expect(wire.poll(port, 64, 2000)).toBe(0)
    wire.close()
    wire.close()
  })

  test('in the timing of the capture, from the moment the host listens', () => {
    writeInput([
      { seconds: 1_700_000_000, nanoseconds: 999_000_000, length: 60 },
      { seconds: 1_700_000_001, nanoseconds: 1_500_000, length: 60 },
      { seconds: 1_700_000_001, nanoseconds: 1_500_000, length: 60 },
      { seconds: 1_700_000_003, nanoseconds: 0, length: 60 },
    ])
    const wire = replay()
    const port = new FakePort()
    port.receiving = false
    wire.poll(port, 64, 0)
    expect(wire.nextEvent(0)).toBe(Infinity)
    port.receiving = true
    expect(wire.poll(port, 64, 500)).toBe(1)
    expect(wire.nextEvent(500)).toBeCloseTo(502.5)
    expect(wire.poll(port, 64, 502.4)).toBe(0)
    expect(wire.poll(port, 64, 502.6)).toBe(2)
    expect(wire.nextEvent(502.6)).toBeCloseTo(2501)
    expect(wire.ended()).toBe(false)
    expect(wire.poll(port, 64, 9000)).toBe(1)
    expect(wire.poll(port, 64, 9000)).toBe(0)
    expect(wire.ended()).toBe(true)
    expect(wire.nextEvent(9000)).toBe(Infinity)
    wire.close()
  })

  test('at a rate', () => {
    writeInput(mixed)
    const wire = replay({ rate: 1000 })
    const port = new FakePort()
    for (let now = 0; now <= 1000; now += 0.5) wire.poll(port, 64, now)
    expect(countersOf(wire).sent).toBe(1001)
    wire.close()
  })

  test('several times, in the given order; or without end', () => {
    writeInput([{ length: 60 }, { length: 70, nanoseconds: 1_000_000 }])
    const wire = replay({ repeat: 3 })
    const port = new FakePort()
    for (let now = 0; now < 100 && !wire.ended(); now++) wire.poll(port, 64, now)
    expect(wire.ended()).toBe(true)
    expect(port.lengths).toEqual([60, 70, 60, 70, 60, 70])
    wire.close()

    const endless = replay({ repeat: 0 })
    expect(endless.finite).toBe(false)
    for (let now = 0; now < 100; now++) endless.poll(port, 64, now)
    expect(endless.ended()).toBe(false)
    expect(countersOf(endless).sent).toBeGreaterThan(190)
    endless.stop()
    expect(endless.ended()).toBe(true)
    expect(endless.poll(port, 64, 200)).toBe(0)
    endless.close()
  })

  test('short frames are padded, what is no frame is skipped', () => {
    writeInput([{ length: 13 }, { length: 42 }, { length: 16_000 }, { length: 60 }])
    const wire = replay()
    const port = new FakePort()
    pollAll(wire, port)
    expect(port.take()).toEqual([Buffer.concat([bytes(1, 42), Buffer.alloc(18)]), bytes(3, 60)])
    expect(countersOf(wire)).toMatchObject({ sent: 2, padded: 1, unusable: 2 })
    wire.close()
  })

  test.each([[[]], [[{ length: 5 }]]])(
    'a capture with nothing to send ends at once, even without end: %j',
    (packets) => {
      writeInput(packets)
      const wire = replay({ repeat: 0 })
      expect(pollAll(wire, new FakePort())).toBe(0)
      expect(wire.ended()).toBe(true)
      wire.close()
    },
  )

  test('a truncated file is refused before anything is sent', () => {
    writeInput(mixed)
    writeFileSync(input, readFileSync(input).subarray(0, -1))
    expect(() => replay()).toThrow(
      expect.objectContaining({
        code: 'IXY_ERR_FILE',
        message: expect.stringContaining('1999 packets before it are good'),
      }),
    )
  })

  test('counts and books what the NIC sends', () => {
    writeInput([{ length: 60 }])
    const ledger = new Ledger(1)
    const source = new GenWire('gen', { sizes: [60], flows: 1, rate: null, count: 5 }, ledger, true)
    const wire = new ReplayWire('replay', { path: input, rate: null, repeat: 1 }, checkPcap(input), ledger)
    const port = new FakePort()
    pollAll(source, port)
    port.forward(wire)
    expect(countersOf(wire)).toMatchObject({ arrived: 5, foreign: 0 })
    expect(ledger.tally(0).lost).toBe(0)
    wire.close()
  })
})
