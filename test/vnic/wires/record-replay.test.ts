import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CaptureFeed, type FeedOptions } from '../../../src/captures/feed.ts'
import { ONE_FILE } from '../../../src/captures/file-limits.ts'
import type { RecordOptions } from '../../../src/captures/recording.ts'
import type { PacketFilter } from '../../../src/packet/filter/translate.ts'
import { type Pace, paceOf } from '../../../src/packet/rate.ts'
import { GenWire } from '../../../src/vnic/wires/gen.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { RecordWire } from '../../../src/vnic/wires/record.ts'
import { ReplayWire } from '../../../src/vnic/wires/replay.ts'
import type { Wire } from '../../../src/vnic/wires/wire.ts'
import { pcap } from '../../captures/build.ts'
import { countersOf, FakePort, pollAll, someFrame } from './fake-port.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-wires-'))
const input = path.join(folder, 'in.pcap')
const output = path.join(folder, 'out.pcap')
const wires: Wire[] = []
afterEach(() => {
  for (const wire of wires.splice(0)) wire.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Packet {
  readonly seconds?: number
  readonly nanoseconds?: number
  readonly length: number
  /** Of which the capture has only the beginning. */
  readonly originalLength?: number
}

const bytes = (seed: number, length: number) => Buffer.from(someFrame(seed, length).u8.subarray(0, length))

const build = (packets: readonly Packet[]): Buffer =>
  pcap(
    packets.map(({ seconds = 0, nanoseconds = 0, length, originalLength = length }, i) => ({
      seconds,
      fraction: nanoseconds,
      data: bytes(i, length),
      originalLength,
    })),
    { magic: 0xa1b23c4d },
  )

let log: string[] = []
const tell = (_: string, text: string): void => void log.push(text)

interface Replay extends Partial<FeedOptions> {
  readonly pace?: Pace
  readonly ledger?: Ledger
}

async function replay({ pace, ledger, ...options }: Replay = {}): Promise<ReplayWire> {
  log = []
  const defaults = { name: input, owner: 'self', strict: false, repeat: 1, speed: 1, gap: Infinity } as const
  const spec = { ...defaults, mac: null, shortest: 60, longest: 15_872, ...options }
  const feed = new CaptureFeed(spec, tell)
  await feed.ready()
  const wire = new ReplayWire(
    'replay',
    feed,
    { pace: pace ?? null, repeat: spec.repeat },
    ledger ?? null,
    tell,
  )
  wires.push(wire)
  return wire
}

function record(
  options: Partial<RecordOptions> = {},
  ledger: Ledger | null = null,
  filter: PacketFilter | null = null,
): RecordWire {
  log = []
  const defaults = {
    name: output,
    owner: 'self',
    snapLength: 262_144,
    limits: ONE_FILE,
    pcapng: null,
  } as const
  const wire = new RecordWire('record', { ...defaults, ...options }, filter, ledger, tell)
  wires.push(wire)
  return wire
}

/** A plain reader that shares nothing with the sources. */
function readOutput() {
  const file = readFileSync(output)
  const packets: { time: number; data: Buffer; originalLength: number }[] = []
  for (let at = 24; at < file.length;) {
    const [seconds, nanoseconds, length, originalLength] = [0, 4, 8, 12].map((i) => file.readUInt32LE(at + i))
    packets.push({
      time: seconds + nanoseconds / 1e9,
      data: file.subarray(at + 16, at + 16 + length),
      originalLength,
    })
    at += 16 + length
  }
  return packets
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('20 s passed')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('record', () => {
  test('with a filter, what matches; the rest has arrived and is counted', async () => {
    const wire = record({ snapLength: 62 }, null, (_memory, _offset, captured, wireLength) => {
      return captured === wireLength && captured > 60
    })
    const sizes = [60, 61, 1514, 60, 100]
    sizes.forEach((length, i) => expect(wire.send(someFrame(i, length), 0, length, 5000)).toBe(true))
    await wire.recording.flush()
    wire.close()
    expect(readOutput().map(({ originalLength }) => originalLength)).toEqual([61, 1514, 100])
    expect(wire.reports()[0].counters).toEqual({
      ...{ arrived: 5, recorded: 3, filteredOut: 2, unwritten: 0, bytes: 1795, foreign: 0 },
    })
    expect(wire.account().out).toMatchObject({ arrived: 5, lost: [] })
  })

  test('every frame, byte for byte and in order, with the time of sending', async () => {
    const before = Date.now() / 1000
    const wire = record()
    const sizes = [60, 61, 1514, 62, 9018, 63]
    sizes.forEach((length, i) =>
      expect(wire.send(someFrame(i, length), 0, length, 5000.25 + i * 700.5)).toBe(true),
    )
    await wire.recording.flush()
    wire.close()
    wire.close()
    const packets = readOutput()
    expect(packets.map(({ data }) => data)).toEqual(sizes.map((length, i) => bytes(i, length)))
    packets.forEach(({ time }, i) => expect(time - packets[0].time).toBeCloseTo(i * 0.7005, 6))
    expect(packets[0].time).toBeGreaterThan(before - 0.01)
    expect(packets[0].time).toBeLessThan(Date.now() / 1000 + 0.01)
    const total = sizes.reduce((a, b) => a + b)
    expect(countersOf(wire)).toEqual({ arrived: 6, recorded: 6, unwritten: 0, bytes: total, foreign: 0 })
  })

  test('of long frames the beginning, if that is wanted', async () => {
    const wire = record({ snapLength: 64 })
    for (const length of [60, 1514]) wire.send(someFrame(1, length), 0, length, 0)
    await wire.recording.flush()
    expect(readOutput().map(({ data, originalLength }) => [data.length, originalLength])).toEqual([
      [60, 60],
      [64, 1514],
    ])
    expect(readFileSync(output).readUInt32LE(16)).toBe(64)
  })

  test('touches its file only when the host listens, sends, or the run has ended', async () => {
    writeFileSync(output, 'of another run')
    const port = new FakePort()
    port.receiving = false
    const unused = record()
    unused.poll(port, 64, 0)
    unused.close()
    expect(readFileSync(output, 'utf8')).toBe('of another run')
    for (const begin of [
      (wire: RecordWire) => wire.poll(new FakePort(), 64, 0),
      (wire: RecordWire) => wire.send(someFrame(1), 0, 60, 0),
      (wire: RecordWire) => wire.stop(),
    ]) {
      writeFileSync(output, 'of another run')
      const wire = record()
      begin(wire)
      wire.poll(port, 64, 1)
      wire.close()
      expect(readFileSync(output).readUInt32LE(0)).toBe(0xa1b23c4d)
    }
  })

  test('is in the file soon, without being asked for', async () => {
    const wire = record()
    wire.send(someFrame(1), 0, 60, 10)
    wire.poll(new FakePort(), 64, 10)
    await until(() => existsSync(output) && countersOf(wire).recorded === 1)
    expect(readOutput().length).toBe(1)
  })

  test('a reader that stalls holds up the NIC; when it goes on, everything comes', async () => {
    const fifo = path.join(folder, 'stalls')
    execFileSync('mkfifo', [fifo])
    const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const wire = record({ name: fifo })
    const port = new FakePort()
    const big = someFrame(7, 1514)
    let sent = 0
    while (wire.send(big, 0, 1514, 0)) sent++
    wire.poll(port, 64, 0)
    expect(sent).toBeGreaterThan(5000)
    const flushed = wire.recording.flush()
    let received = 0
    const chunk = Buffer.alloc(65_536)
    await until(() => {
      try {
        for (let count = 1; count > 0;) received += count = readSync(fd, chunk)
      } catch {
        // Nothing there now.
      }
      return received >= 24 + sent * (16 + 1514)
    })
    await flushed
    expect(countersOf(wire)).toMatchObject({ arrived: sent, recorded: sent })
    expect(wire.send(big, 0, 1514, 0)).toBe(true)
    await until(() => {
      wire.poll(port, 64, 0)
      try {
        received += readSync(fd, chunk)
      } catch {
        // Not yet.
      }
      return received === 24 + (sent + 1) * (16 + 1514)
    })
    closeSync(fd)
  })

  /** A pipe takes a part of what is written, and then no more. */
  async function missingInFullPipe(): Promise<void> {
    const fifo = path.join(folder, 'full')
    execFileSync('mkfifo', [fifo])
    const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const wire = record({ name: fifo })
    for (let i = 0; i < 2000; i++) wire.send(someFrame(i), 0, 60, 0)
    const failure = await wire.recording.flush().catch(String)
    wire.close()
    const { recorded, unwritten } = countersOf(wire)
    expect(recorded).toBeGreaterThan(0)
    expect(failure).toContain(`${unwritten} packets are missing`)
    expect(wire.account().out).toMatchObject({
      arrived: recorded,
      held: 0,
      lost: [{ frames: 2000 - recorded }],
    })
    // Whole records only, and a part of one behind them.
    const got = Buffer.alloc(1 << 18)
    expect(Math.floor((readSync(fd, got) - 24) / (16 + 60))).toBe(recorded)
    closeSync(fd)
  }

  test('a FIFO that nobody reads: says so, and what is lost at the end has a number', async () => {
    const fifo = path.join(folder, 'unread')
    execFileSync('mkfifo', [fifo])
    const wire = record({ name: fifo })
    for (let i = 0; i < 3; i++) wire.send(someFrame(i), 0, 60, 0)
    wire.poll(new FakePort(), 64, 0)
    await until(() => log.some((line) => /waiting for a reader/.test(line)))
    expect(wire.account().out).toMatchObject({ arrived: 0, held: 3, books: false, lost: [] })
    await Promise.all([
      missingInFullPipe(),
      expect(wire.recording.flush()).rejects.toThrow(/^3 packets are missing in .*unread/),
    ])
    expect(() => wire.poll(new FakePort(), 64, 0)).toThrow(
      expect.objectContaining({ code: 'IXY_ERR_OUTPUT' }),
    )
    expect(wire.send(someFrame(1), 0, 60, 0)).toBe(false)
    wire.close()
    expect(countersOf(wire)).toMatchObject({ arrived: 3, recorded: 0, unwritten: 3 })
    const { arrived, lost } = wire.account().out
    expect({ arrived, lost }).toEqual({
      arrived: 0,
      lost: [{ place: 'record', cause: 'unwritten', frames: 3 }],
    })
  })

  test('a reader that goes away is a failure', async () => {
    const fifo = path.join(folder, 'gone')
    execFileSync('mkfifo', [fifo])
    const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const wire = record({ name: fifo })
    wire.send(someFrame(1), 0, 60, 0)
    await wire.recording.flush()
    closeSync(fd)
    wire.send(someFrame(2), 0, 60, 0)
    await expect(wire.recording.flush()).rejects.toThrow(/EPIPE.*its reader has gone/)
  })

  test('books what generators send', () => {
    const ledger = new Ledger(1)
    const source = new GenWire('gen', { sizes: [60], flows: 1, rate: null, count: 9 }, ledger, true)
    const wire = record({}, ledger)
    const port = new FakePort()
    pollAll(source, port)
    port.forward(wire)
    wire.send(someFrame(1), 0, 60, 0)
    wire.close()
    expect(ledger.tally(0)).toMatchObject({ received: 9, lost: 0 })
    expect(countersOf(wire)).toMatchObject({ arrived: 10, recorded: 10, foreign: 1 })
  })
})

describe('replay', () => {
  const mixed = Array.from({ length: 2000 }, (_, i) => ({ length: 60 + ((i * 37) % 1455) }))
  const all = Buffer.concat(mixed.map(({ length }, i) => bytes(i, length)))

  test('every frame, byte for byte and in order, and waits when there is no descriptor', async () => {
    writeFileSync(input, build(mixed))
    const wire = await replay()
    const port = new FakePort(0)
    expect(wire.finite).toBe(true)
    for (let now = 0; !wire.ended(); now++) {
      port.descriptors = now % 50
      wire.poll(port, 32, now)
      expect(now).toBeLessThan(1000)
    }
    expect(port.missed).toBe(0)
    expect(Buffer.concat(port.take()).equals(all)).toBe(true)
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

  test('a capture that is larger than what is read ahead, several times', async () => {
    const large = Array.from({ length: 15_000 }, (_, i) => ({ length: 1400 + (i % 100) }))
    writeFileSync(input, build(large))
    const wire = await replay({ repeat: 2, pace: paceOf('100%', 1e9) })
    const port = new FakePort()
    let at = 0
    await until(() => {
      for (let i = 0; i < 100; i++) wire.poll(port, 64, performance.now())
      for (const frame of port.take()) {
        const i = at++ % large.length
        if (!frame.equals(bytes(i, large[i].length))) throw new Error(`frame ${at} differs`)
      }
      return wire.ended()
    })
    expect(at).toBe(30_000)
    expect(countersOf(wire)).toMatchObject({ sent: 30_000, unusable: 0 })
  })

  test('in the timing of the capture, from the moment the host listens', async () => {
    writeFileSync(
      input,
      build([
        { seconds: 1_700_000_000, nanoseconds: 999_000_000, length: 60 },
        { seconds: 1_700_000_001, nanoseconds: 1_500_000, length: 60 },
        { seconds: 1_700_000_001, nanoseconds: 1_500_000, length: 60 },
        { seconds: 1_700_000_003, nanoseconds: 0, length: 60 },
      ]),
    )
    const wire = await replay()
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
  })

  test('a long pause is announced once', async () => {
    writeFileSync(input, build([{ length: 60 }, { seconds: 65_536, length: 60 }]))
    const wire = await replay()
    const port = new FakePort()
    for (let now = 0; now < 100; now++) wire.poll(port, 64, now)
    expect(log).toEqual([expect.stringMatching(/the next packet comes in 18 h 12 min.*gap=<time>/)])
  })

  test('at a rate in packets', async () => {
    writeFileSync(input, build(mixed))
    const wire = await replay({ pace: paceOf('1kpps', 10_000) })
    const port = new FakePort()
    for (let now = 0; now <= 1000; now += 0.5) wire.poll(port, 64, now)
    expect(countersOf(wire).sent).toBe(1001)
  })

  test('at a rate in bits, without knowing the frames to come', async () => {
    // Two stretches of very different frames: bits per second are the same in both.
    writeFileSync(input, build([...Array(20_000).keys()].map((i) => ({ length: i < 10_000 ? 60 : 1514 }))))
    const wire = await replay({ pace: paceOf('100Mbit', 10_000) })
    const port = new FakePort()
    const bitsUntil = (end: number, from: number): number => {
      for (let now = from; now < end; now += 0.05) wire.poll(port, 64, now)
      return port.lengths.reduce((sum, length) => sum + (length + 24) * 8, 0)
    }
    const [first, second] = [bitsUntil(50, 0), bitsUntil(500, 50)]
    expect(first / 5e6).toBeCloseTo(1, 2)
    expect(second / 50e6).toBeCloseTo(1, 2)
    expect(new Set(port.lengths).size).toBe(2)
  })

  test('several times, in the given order; or without end', async () => {
    writeFileSync(input, build([{ length: 60 }, { length: 70, nanoseconds: 1_000_000 }]))
    const wire = await replay({ repeat: 3 })
    const port = new FakePort()
    for (let now = 0; now < 100 && !wire.ended(); now++) wire.poll(port, 64, now)
    expect(wire.ended()).toBe(true)
    expect(port.lengths).toEqual([60, 70, 60, 70, 60, 70])

    const endless = await replay({ repeat: 0 })
    expect(endless.finite).toBe(false)
    for (let now = 0; now < 100; now++) endless.poll(port, 64, now)
    expect(endless.ended()).toBe(false)
    expect(countersOf(endless).sent).toBeGreaterThan(190)
    endless.stop()
    expect(endless.ended()).toBe(true)
    expect(endless.poll(port, 64, 200)).toBe(0)
  })

  test('short frames are padded, what is no frame is skipped, and all that is counted once per round', async () => {
    const whole = [13, 42, 16_000, 60, 1].map((length) => ({ length }))
    writeFileSync(input, build([...whole, { length: 64, originalLength: 100 }, { length: 5 }]))
    const wire = await replay({ repeat: 2 })
    const port = new FakePort()
    pollAll(wire, port)
    const round = [Buffer.concat([bytes(1, 42), Buffer.alloc(18)]), bytes(3, 60), bytes(5, 64)]
    expect(port.take()).toEqual([...round, ...round])
    expect(countersOf(wire)).toMatchObject({ sent: 6, padded: 2, cut: 2, unusable: 8 })
    expect(log.length).toBe(3)
  })

  test.each([[[]], [[{ length: 5 }]]])(
    'a capture with nothing to send ends at once, even without end, and says so: %j',
    async (packets) => {
      writeFileSync(input, build(packets))
      const wire = await replay({ repeat: 0 })
      expect(pollAll(wire, new FakePort())).toBe(0)
      expect(wire.ended()).toBe(true)
      expect(log.at(-1)).toMatch(/has no packet that can be sent/)
    },
  )

  test('damage is played up to, then it is a failure at run time; seen before the start, a wrong file', async () => {
    const file = build(mixed)
    file.writeUInt32LE(0x7fff_ffff, 24 + 16 + mixed[0].length + 8)
    writeFileSync(input, file)
    await expect(replay()).rejects.toThrow(expect.objectContaining({ code: 'IXY_ERR_FILE' }))

    // Behind what is read before the start.
    const large = build(Array.from({ length: 15_000 }, () => ({ length: 1500 })))
    large.writeUInt32LE(0x7fff_ffff, 24 + 14_000 * 1516 + 8)
    writeFileSync(input, large)
    const wire = await replay()
    const port = new FakePort()
    await expect(
      until(() => {
        wire.poll(port, 64, performance.now())
        return wire.ended()
      }),
    ).rejects.toThrow(
      expect.objectContaining({
        code: 'IXY_ERR_INPUT',
        exitCode: 1,
        message: expect.stringMatching(/packet 14001 claims/) as string,
      }),
    )
    expect(port.lengths.length).toBe(14_000)
    expect(countersOf(wire).sent).toBe(14_000)
  })

  test('a truncated file is played up to the cut, or refused', async () => {
    writeFileSync(input, build(mixed).subarray(0, -1))
    const wire = await replay()
    const port = new FakePort()
    pollAll(wire, port)
    expect(wire.ended()).toBe(true)
    expect(port.lengths.length).toBe(1999)
    expect(log).toEqual([expect.stringMatching(/ends within packet 2000; it is used up to there/)])
    await expect(replay({ strict: true })).rejects.toThrow(/ends within packet 2000; leave out strict/)
  })

  test('a stream is waited for, and played as it comes', async () => {
    const fifo = path.join(folder, 'in.fifo')
    execFileSync('mkfifo', [fifo])
    const wire = await replay({ name: fifo })
    expect(log).toEqual([expect.stringMatching(/in.fifo: waiting for its writer/)])
    const port = new FakePort()
    expect(wire.poll(port, 64, 0)).toBe(0)
    expect(wire.ended()).toBe(false)
    expect(wire.nextEvent(0)).toBeLessThan(Infinity)
    const file = build([{ length: 60 }, { length: 61 }])
    const fd = openSync(fifo, 'w')
    writeFileSync(fd, file.subarray(0, 110))
    await until(() => wire.poll(port, 64, performance.now()) > 0)
    expect(port.lengths).toEqual([60])
    writeFileSync(fd, file.subarray(110))
    closeSync(fd)
    await until(() => {
      wire.poll(port, 64, performance.now())
      return wire.ended()
    })
    expect(port.lengths).toEqual([60, 61])
  })

  test('counts and books what the NIC sends', async () => {
    writeFileSync(input, build([{ length: 60 }]))
    const ledger = new Ledger(1)
    const source = new GenWire('gen', { sizes: [60], flows: 1, rate: null, count: 5 }, ledger, true)
    const wire = await replay({ ledger })
    const port = new FakePort()
    pollAll(source, port)
    port.forward(wire)
    expect(countersOf(wire)).toMatchObject({ arrived: 5, foreign: 0 })
    expect(ledger.tally(0).lost).toBe(0)
  })
})
