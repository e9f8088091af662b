/** The thread that writes captures, run in this one: all it is to write is in its rings before it begins. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CaptureCounts, Count } from '../../src/captures/counts.ts'
import { ONE_FILE } from '../../src/captures/file-limits.ts'
import { Command, createRing, Kind, RingProducer, State } from '../../src/captures/frame-ring.ts'
import type { FromCaptureThread, RecordSpec } from '../../src/captures/messages.ts'
import { Progress } from '../../src/captures/progress.ts'
import { record } from '../../src/captures/recorder.ts'
import { bytesOver } from '../../src/packet/bytes.ts'
import { blocksOf, packetsOf, statisticsOf } from './blocks-of.ts'
import { frame } from './build.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-recorder-'))
afterAll(() => rmSync(folder, { recursive: true }))

const CLOCK = 1_795_779_480

class Bench {
  readonly told: FromCaptureThread[] = []
  readonly rings: RingProducer[]
  readonly progress: Progress
  readonly counts: CaptureCounts
  private readonly spec: RecordSpec

  constructor(queues: number, options: Partial<RecordSpec> = {}) {
    const rings = Array.from({ length: queues }, () => createRing(1 << 16))
    const [progress, counts] = [Progress.allocate(), CaptureCounts.allocate(queues)]
    this.rings = rings.map((ring) => new RingProducer(ring))
    this.progress = new Progress(progress)
    this.progress.setClock(CLOCK)
    this.counts = new CaptureCounts(counts)
    const facts = { name: 'virtual:gen', bitsPerSecond: 1e10, filter: 'udp port 42', program: 'ixy-ts' }
    this.spec = {
      name: path.join(folder, 'out.pcapng'),
      owner: 'self',
      snapLength: 128,
      limits: ONE_FILE,
      pcapng: { facts, counts },
      rings,
      progress,
      ...options,
    }
  }

  put(queue: number, time: number, length: number): void {
    const bytes = bytesOver(frame(length).slice().buffer)
    expect(this.rings[queue].put(bytes, 0, Math.min(length, 128), 0, 0, time, length)).toBe(true)
    this.rings[queue].publish()
  }

  write(): void {
    this.rings[0].setCommand(Command.FINISH)
    record(this.spec, (message) => this.told.push(message))
  }

  read(): Buffer {
    return readFileSync(this.spec.name)
  }
}

test('packets of several queues are written in the order in which they came, with what was lost between them', () => {
  const bench = new Bench(3)
  bench.put(0, 10, 60)
  bench.put(0, 30, 61)
  bench.put(2, 20, 62)
  bench.rings[2].mark(Kind.SKIPPED, 0, 7)
  bench.rings[2].mark(Kind.SKIPPED, 0, 2)
  bench.put(2, 40, 300)
  bench.write()
  const nanoseconds = (ms: number) => BigInt(CLOCK) * 1_000_000_000n + BigInt(ms) * 1_000_000n
  expect(packetsOf(bench.read())).toEqual([
    { time: nanoseconds(10), data: Buffer.from(frame(60)), originalLength: 60, drops: 0, queue: 0 },
    { time: nanoseconds(20), data: Buffer.from(frame(62)), originalLength: 62, drops: 0, queue: 2 },
    { time: nanoseconds(30), data: Buffer.from(frame(61)), originalLength: 61, drops: 0, queue: 0 },
    {
      time: nanoseconds(40),
      data: Buffer.from(frame(300)).subarray(0, 128),
      originalLength: 300,
      drops: 9,
      queue: 2,
    },
  ])
  expect(bench.progress.recorded).toBe(4)
  expect(bench.told).toEqual([])
})

test('the file tells of its interface, and how the counts stood at its end', () => {
  const bench = new Bench(1)
  const counts = bench.counts.ofQueue(0)
  counts[Count.RECEIVED] = 2 ** 33 + 100
  counts[Count.FILTERED_OUT] = 90
  counts[Count.DROPPED] = 9
  bench.counts.setMissed(5)
  bench.put(0, 0, 60)
  bench.write()
  const [section, face, , statistics] = blocksOf(bench.read())
  expect(section.options.get(4)?.[0].toString()).toBe('ixy-ts')
  expect([face.body.readUInt16LE(0), face.body.readUInt32LE(4)]).toEqual([1, 128])
  const option = (code: number) => face.options.get(code)?.[0]
  expect(option(2)?.toString()).toBe('virtual:gen')
  expect(option(8)?.readBigUInt64LE()).toBe(10_000_000_000n)
  expect(option(9)).toEqual(Buffer.of(9))
  expect(option(11)?.toString()).toBe('\0udp port 42')
  const all = { ifrecv: 2 ** 33 + 100, ifdrop: 5, filteraccept: 2 ** 33 + 10, osdrop: 9, usrdeliv: 1 }
  expect(statisticsOf(bench.read())).toEqual(all)
  const time = (code: number) => {
    const value = statistics.options.get(code)?.[0] ?? Buffer.alloc(8)
    return ((BigInt(value.readUInt32LE(0)) << 32n) | BigInt(value.readUInt32LE(4))) / 1_000_000n
  }
  expect(Math.abs(Number(time(2)) - Date.now())).toBeLessThan(60_000)
  expect(time(3)).toBeGreaterThanOrEqual(time(2))
})

test.each([0, 0.000_001, 999.999_999, 12_345_678.000_001, 4.294_967_296e9])(
  'a time of %d ms after the second is told to the nanosecond',
  (milliseconds) => {
    const bench = new Bench(1)
    bench.put(0, milliseconds, 60)
    bench.write()
    const expected = BigInt(CLOCK) * 1_000_000_000n + BigInt(Math.floor(milliseconds * 1e6))
    expect(Number(packetsOf(bench.read())[0].time - expected)).toBeCloseTo(0, -1)
  },
)

test('files end after so many packets, and each packet is in one of them', () => {
  const limits = { ...ONE_FILE, single: false, filePackets: 10 }
  const bench = new Bench(1, { limits, name: path.join(folder, 'ring.pcapng') })
  for (let i = 0; i < 35; i++) bench.put(0, i, 60 + i)
  bench.write()
  const names = readdirSync(folder).filter((name) => name.startsWith('ring_'))
  expect(names.sort().map((name) => name.slice(0, 10))).toEqual([
    'ring_00001',
    'ring_00002',
    'ring_00003',
    'ring_00004',
  ])
  const lengths = names.map((name) =>
    packetsOf(readFileSync(path.join(folder, name))).map(({ originalLength }) => originalLength),
  )
  expect(lengths.map(({ length }) => length)).toEqual([10, 10, 10, 5])
  expect(lengths.flat()).toEqual(Array.from({ length: 35 }, (_, i) => 60 + i))
  const delivered = names.map((name) => statisticsOf(readFileSync(path.join(folder, name)))['usrdeliv'])
  expect(delivered).toEqual([10, 20, 30, 35])
})

test('no file is begun without a packet for it', () => {
  const limits = { ...ONE_FILE, single: false, filePackets: 10, files: 1 }
  const bench = new Bench(1, { limits, name: path.join(folder, 'full.pcapng') })
  bench.counts.setMissed(3)
  for (let i = 0; i < 20; i++) bench.put(0, i, 60)
  bench.write()
  const names = readdirSync(folder).filter((name) => name.startsWith('full_'))
  expect(names.map((name) => name.slice(0, 10))).toEqual(['full_00002'])
  const file = readFileSync(path.join(folder, names[0]))
  expect(packetsOf(file).length).toBe(10)
  expect(statisticsOf(file)).toMatchObject({ ifdrop: 3, usrdeliv: 20 })
})

test.each([
  ['after so many bytes', { fileBytes: 1000, lastFile: 1 }, 10],
  ['after the last file', { filePackets: 4, lastFile: 2, single: false }, 8],
])('a capture is complete %s, and says so once', (_, limits, recorded) => {
  const bench = new Bench(1, { limits: { ...ONE_FILE, ...limits } })
  for (let i = 0; i < 35; i++) bench.put(0, i, 60)
  bench.write()
  expect(bench.progress.recorded).toBe(recorded)
  expect(bench.told).toEqual([{ type: 'complete', gone: false }])
})

test('what can no longer be written ends with the last whole packet, and the error', () => {
  const bench = new Bench(1, { name: '/dev/full', pcapng: null })
  bench.put(0, 0, 60)
  bench.write()
  expect(bench.told).toEqual([
    { type: 'failed', code: 'IXY_ERR_OUTPUT', message: expect.stringMatching(/ENOSPC/) as string },
  ])
  expect(bench.progress.recorded).toBe(0)
  expect(bench.rings[0].state).toBe(State.FAILED)
})
