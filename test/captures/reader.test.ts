import { mkdtempSync, rmSync, writeFileSync, appendFileSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import fc from 'fast-check'
import type { ReaderOptions } from '../../src/captures/messages.ts'
import { CaptureReader } from '../../src/captures/reader.ts'
import { probeCapture } from '../../src/captures/probe.ts'
import { frame, pcap, Section, type TestPacket } from './build.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-captures-'))
const file = path.join(folder, 'test.pcap')
afterAll(() => rmSync(folder, { recursive: true }))

interface Read {
  readonly frames: { readonly data: Uint8Array; readonly time: number; readonly cut: boolean }[]
  readonly skipped: number
  readonly log: string[]
}

function open(log: string[], options: Partial<ReaderOptions> = {}): CaptureReader {
  const defaults = {
    name: file,
    owner: 'self',
    strict: false,
    speed: 1,
    gap: Infinity,
    mac: null,
    longest: 15_872,
  } as const
  return new CaptureReader(
    { ...defaults, ...options },
    () => false,
    (level, text) => log.push(`${level}: ${text}`),
  )
}

async function drain(reader: CaptureReader): Promise<Read['frames']> {
  const frames: Read['frames'] = []
  do {
    while (reader.next()) {
      const data = reader.memory.u8.slice(reader.offset, reader.offset + reader.length)
      frames.push({ data, time: reader.time, cut: reader.cut })
    }
  } while (await reader.read())
  return frames
}

async function read(bytes: Uint8Array, options: Partial<ReaderOptions> = {}): Promise<Read> {
  writeFileSync(file, bytes)
  const log: string[] = []
  const reader = open(log, options)
  try {
    return { frames: await drain(reader), skipped: reader.skipped, log }
  } finally {
    reader.close()
  }
}

const some = (): TestPacket[] => [
  { seconds: 1_700_000_000, fraction: 5, data: frame(60) },
  { seconds: 1_700_000_000, fraction: 999_999, data: frame(61, 3) },
  { seconds: 1_700_000_002, fraction: 0, data: frame(1514, 7) },
]
const data = (packets: readonly TestPacket[]): Uint8Array[] => packets.map((packet) => packet.data)
const fileError = (message: RegExp) =>
  expect.objectContaining({
    code: 'IXY_ERR_FILE',
    exitCode: 2,
    message: expect.stringMatching(message) as string,
  })

describe('pcap', () => {
  describe.each([
    ['little-endian', true],
    ['big-endian', false],
  ])('%s', (_, little) => {
    test.each([
      ['microseconds', 0xa1b2c3d4, 1e-3],
      ['nanoseconds', 0xa1b23c4d, 1e-6],
      ['the longer records of a patched libpcap', 0xa1b2cd34, 1e-3],
    ])('%s', async (_unit, magic, millisecondsPerTick) => {
      const { frames, log } = await read(pcap(some(), { little, magic }))
      expect(frames.map((one) => one.data)).toEqual(data(some()))
      const times = [0, 999_994 * millisecondsPerTick, 2000 - 5 * millisecondsPerTick]
      frames.forEach(({ time }, i) => expect(time).toBeCloseTo(times[i], 6))
      expect(log).toEqual([])
    })
  })

  test('an FCS that the file announces is taken off, once', async () => {
    const linkType = (2 << 28) | 0x04000000 | 1
    expect((await read(pcap([{ data: frame(64) }], { linkType }))).frames[0].data).toEqual(
      frame(64).subarray(0, 60),
    )
    // The snap length has taken it off already.
    const cut = await read(pcap([{ data: frame(62), originalLength: 64 }], { linkType }))
    expect(cut.frames[0]).toMatchObject({ data: frame(62).subarray(0, 60), cut: false })
  })

  test('a capture much larger than the window, twice', async () => {
    const packets = Array.from({ length: 3000 }, (_, i) => ({ seconds: i, data: frame(60 + (i % 1455), i) }))
    writeFileSync(file, pcap(packets))
    const reader = open([])
    for (let round = 0; round < 2; round++) {
      const frames = await drain(reader)
      expect(Buffer.concat(frames.map((one) => one.data)).equals(Buffer.concat(data(packets)))).toBe(true)
      expect(reader.frames).toBe(3000)
      reader.rewind()
    }
    reader.close()
  })
})

describe('pcapng', () => {
  test.each([true, false])(
    'all kinds of packet blocks, others passed over (little-endian: %s)',
    async (little) => {
      const section = new Section(little)
        .block(4, frame(500))
        .interface()
        .enhanced(0, 1_000_000n, frame(60))
        .block(0x0bad, frame(301))
        .simple(frame(61, 3))
        .obsolete(0, 3_500_000n, frame(62, 5))
      const { frames, log } = await read(section.file)
      expect(frames.map((one) => one.data)).toEqual([frame(60), frame(61, 3), frame(62, 5)])
      expect(frames.map(({ time }) => time)).toEqual([0, 0, 2500])
      expect(log).toEqual([])
    },
  )

  test('sections in different byte orders, each with its own interfaces', async () => {
    const a = new Section(true)
      .interface()
      .interface(101)
      .enhanced(1, 0n, frame(40).fill(0x45, 0, 1))
    const b = new Section(false).interface().enhanced(0, 0n, frame(64))
    const { frames } = await read(Buffer.concat([a.file, b.file]))
    expect(frames.map((one) => one.data.length)).toEqual([54, 64])
  })

  test.each([
    ['microseconds, unless said otherwise', [], 1_500_000n],
    ['nanoseconds', [Uint8Array.of(9)], 1_500_000_000n],
    ['picoseconds', [Uint8Array.of(12)], 1_500_000_000_000n],
    ['seconds', [Uint8Array.of(0)], 1n],
    ['powers of two', [Uint8Array.of(0x80 | 20)], 3n << 19n],
  ])('time in %s', async (_, resolution, step) => {
    const section = new Section()
    section.interface(1, 0, ...resolution.map((value) => section.option(9, value)))
    // Since 1970, as in real ones.
    const begin = (step * 1_700_000_000n * 2n) / 3n
    section.enhanced(0, begin, frame(60)).enhanced(0, begin + step, frame(60))
    const { frames } = await read(section.file)
    expect(frames[1].time).toBeCloseTo(step === 1n ? 1000 : 1500, 5)
  })

  test('an offset of times in whole seconds, below 0 as well', async () => {
    const section = new Section()
    const offset = (seconds: bigint): Buffer => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64LE(seconds)
      return section.option(14, bytes)
    }
    section.interface(1, 0, offset(-100n)).interface(1, 0, offset(20n))
    section.enhanced(0, 0n, frame(60)).enhanced(1, 0n, frame(60))
    expect((await read(section.file)).frames[1].time).toBe(120_000)
  })

  test('the limit of the interface counts for simple packets', async () => {
    const section = new Section().interface(1, 64).simple(frame(64), 1514)
    const { frames, log } = await read(section.file)
    expect(frames).toEqual([{ data: frame(64), time: 0, cut: true }])
    expect(log).toEqual([expect.stringMatching(/^warning: .*it has only 64 of the 1514 bytes of packet 1/)])
  })

  test('a block larger than any window is passed over', async () => {
    const section = new Section().interface().block(10, new Uint8Array(3_000_000)).enhanced(0, 0n, frame(60))
    expect((await read(section.file)).frames.length).toBe(1)
  })

  test.each([
    [
      'two lengths that differ',
      (bytes: Buffer) => bytes.writeUInt32LE(96, bytes.length - 4),
      /two lengths differ/,
    ],
    [
      'a length that can’t be',
      (bytes: Buffer) => bytes.writeUInt32LE(11, 28 + 20 + 4),
      /a block of 11 bytes/,
    ],
    [
      'an interface nobody described',
      (bytes: Buffer) => bytes.writeUInt32LE(7, 28 + 20 + 8),
      /isn't described/,
    ],
    [
      'more bytes than the block has',
      (bytes: Buffer) => bytes.writeUInt32LE(100, 28 + 20 + 20),
      /claims to have 100/,
    ],
    ['no byte order', (bytes: Buffer) => bytes.writeUInt32LE(7, 8), /without byte order/],
  ])('damage: %s', async (_, damage, message) => {
    const bytes = new Section().interface().enhanced(0, 0n, frame(60)).file
    damage(bytes)
    await expect(read(bytes)).rejects.toThrow(fileError(message))
  })
})

describe('packed files, by content', () => {
  // Bytes that don't pack well: several blocks of zstd.
  const packets = Array.from({ length: 3000 }, (_, i) => ({
    data: frame(60 + (i % 100), i).map((byte, j) => (byte + Math.imul(i * 61 + j, 0x9e3779b1)) >>> 13),
  }))
  const expected = Buffer.concat(data(packets))
  const joined = ({ frames }: Read): Buffer => Buffer.concat(frames.map((one) => one.data))
  const packs: [string, ((bytes: Buffer) => Buffer) | null][] = [
    ['gzip', (bytes) => zlib.gzipSync(bytes)],
    ['zstd', 'zstdCompressSync' in zlib ? (zlib.zstdCompressSync as (bytes: Buffer) => Buffer) : null],
  ]

  for (const [name, pack] of packs) {
    if (pack === null) {
      test('this Node.js can’t unpack zstd, and says so', async () => {
        const bytes = Buffer.from('28b52ffd0000000000', 'hex')
        await expect(read(bytes)).rejects.toThrow(fileError(/packed by zstd.*zstd -d/))
        expect(() => probeCapture(file)).toThrow(fileError(/packed by zstd/))
      })
      continue
    }
    test(`${name}, also of several pieces`, async () => {
      const bytes = pcap(packets)
      expect(joined(await read(pack(bytes))).equals(expected)).toBe(true)
      expect(() => probeCapture(file)).not.toThrow()
      const pieces = [bytes.subarray(0, 100_001), bytes.subarray(100_001)].map(pack)
      expect(joined(await read(Buffer.concat(pieces))).equals(expected)).toBe(true)
    })

    test(`${name} that is cut is read up to there`, async () => {
      const bytes = pack(pcap(packets))
      const result = await read(bytes.subarray(0, bytes.length * 0.6))
      expect(result.log).toEqual([
        expect.stringMatching(/^warning: .*ends within packet \d+; it is used up to there/),
      ])
      expect(expected.subarray(0, joined(result).length).equals(joined(result))).toBe(true)
      expect(result.frames.length).toBeGreaterThan(500)
    })

    test(`${name} around something else`, async () => {
      writeFileSync(file, pack(Buffer.from('no capture at all, whatever its name')))
      expect(() => probeCapture(file)).toThrow(fileError(/doesn't start like a capture/))
      await expect(drain(open([]))).rejects.toThrow(fileError(/doesn't start like a capture/))
    })
  }
})

describe('link types without an Ethernet header', () => {
  const ip4 = Uint8Array.from([0x45, ...frame(59)])
  const ip6 = Uint8Array.from([0x60, ...frame(59)])
  const mac = Uint8Array.of(2, 1, 2, 3, 4, 5)
  const only = async (linkType: number, packet: number[]) => {
    const { frames, skipped } = await read(pcap([{ data: Uint8Array.from(packet) }], { linkType }), { mac })
    return frames.length === 0 ? skipped : Array.from(frames[0].data)
  }

  test.each([101, 12, 14, 228, 229])('raw IP (%i)', async (linkType) => {
    const four = (await only(linkType, [...ip4])) as number[]
    expect(four.slice(0, 6)).toEqual([...mac])
    expect(four.slice(12)).toEqual([0x08, 0x00, ...ip4])
    expect(((await only(linkType, [...ip6])) as number[]).slice(12)).toEqual([0x86, 0xdd, ...ip6])
    expect(await only(linkType, [0x15, 1, 2, 3])).toBe(1)
  })

  test.each([
    [0, [2, 0, 0, 0], 0x0800],
    [0, [0, 0, 0, 2], 0x0800],
    [108, [0, 0, 0, 2], 0x0800],
    [0, [30, 0, 0, 0], 0x86dd],
    [0, [24, 0, 0, 0], 0x86dd],
    [108, [0, 0, 0, 28], 0x86dd],
    [0, [10, 0, 0, 0], 0x86dd],
  ])('loopback (%i, family %j)', async (linkType, family, type) => {
    const got = (await only(linkType, [...family, ...ip4])) as number[]
    expect(got.slice(12)).toEqual([type >> 8, type & 0xff, ...ip4])
  })

  test('loopback of a family that isn’t IP is skipped', async () => {
    expect(await only(0, [7, 0, 0, 0, ...ip4])).toBe(1)
    expect(await only(0, [2, 0])).toBe(1)
  })

  const address = [0x52, 0x54, 0, 0xaa, 0xbb, 0xcc]
  test('Linux cooked, version 1', async () => {
    const sll = (type: number, device: number, protocol: number) => [
      0,
      type,
      device >> 8,
      device & 0xff,
      0,
      6,
      ...address,
      0,
      0,
      protocol >> 8,
      protocol & 0xff,
      ...ip4,
    ]
    expect(await only(113, sll(0, 1, 0x0800))).toEqual([...mac, ...address, 0x08, 0, ...ip4])
    expect(await only(113, sll(1, 1, 0x0806))).toEqual([
      ...Array(6).fill(0xff),
      ...address,
      0x08,
      0x06,
      ...ip4,
    ])
    expect(await only(113, sll(0, 1, 4))).toEqual([...mac, ...address, 0, 60, ...ip4])
    expect(await only(113, sll(0, 824, 0x0800))).toBe(1)
    expect(await only(113, [0, 0, 0, 1])).toBe(1)
  })

  test('Linux cooked, version 2', async () => {
    const sll2 = [0x86, 0xdd, 0, 0, 0, 0, 0, 9, 0, 1, 4, 6, ...address, 0, 0, ...ip6]
    expect(await only(276, sll2)).toEqual([...mac, ...address, 0x86, 0xdd, ...ip6])
    // Without an address: that of pktgen's packets.
    const none = [0x08, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, ...Array<number>(8).fill(0), ...ip4]
    expect(((await only(276, none)) as number[]).slice(6, 12)).not.toEqual(Array(6).fill(0))
  })

  test('a simple pcapng packet at the very front of the window', async () => {
    const section = new Section().interface(101)
    for (let i = 0; i < 20_000; i++) section.simple(ip4)
    const { frames } = await read(section.file, { mac })
    expect(new Set(frames.map((one) => Buffer.from(one.data).toString('hex'))).size).toBe(1)
    expect(frames.length).toBe(20_000)
  })

  test('others are refused by name', async () => {
    for (const [linkType, name] of [
      [127, /IEEE 802.11 with radiotap header \(link type 127\)/],
      [220, /USB/],
      [999, /of link type 999/],
    ] as const)
      await expect(read(pcap(some(), { linkType }))).rejects.toThrow(fileError(name))
  })
})

describe('what is not as it should be', () => {
  test.each<[string, TestPacket, RegExp]>([
    ['without bytes', { data: frame(0), originalLength: 60 }, /packet 2 has no bytes; it is skipped/],
    ['of no length', { data: frame(60), originalLength: 0 }, /packet 2 claims to have had no bytes/],
    ['longer than the capture’s limit', { data: frame(2001) }, /more bytes than the 2000/],
    ['shorter than a header', { data: frame(13) }, /shorter than an Ethernet header/],
  ])('a packet %s is skipped with a warning, and refused with strict', async (_, packet, message) => {
    const bytes = pcap([some()[0], packet, packet, some()[1]], { snapLength: 2000 })
    const { frames, skipped, log } = await read(bytes)
    expect(frames.map((one) => one.data)).toEqual([frame(60), frame(61, 3)])
    expect(skipped).toBe(2)
    expect(log).toEqual([expect.stringMatching(message)])
    await expect(read(bytes, { strict: true })).rejects.toThrow(
      fileError(message.source.includes(';') ? /no bytes/ : message),
    )
  })

  test('a packet longer than the card takes', async () => {
    const { skipped, log } = await read(pcap([{ data: frame(15_873) }, { data: frame(15_872) }]))
    expect([skipped, log]).toEqual([1, [expect.stringMatching(/packet 1 has over 15872 bytes/)]])
  })

  test('a snap length of 0 is no limit', async () => {
    expect((await read(pcap(some(), { snapLength: 0 }))).skipped).toBe(0)
  })

  test('a fraction of more than a second is no time to wait', async () => {
    const { frames, log } = await read(
      pcap([{ data: frame(60) }, { fraction: 0xffff_ffff, data: frame(60) }]),
    )
    expect(frames[1].time).toBeLessThan(1000)
    expect(log).toEqual([expect.stringMatching(/packet 2 has a fraction of more than a second/)])
  })

  test('a clock that was set back makes no pause, and no rush', async () => {
    const at = (seconds: number): TestPacket => ({ seconds, data: frame(60) })
    const { frames, log } = await read(pcap([at(5000), at(5001), at(1000), at(1001)]))
    expect(frames.map(({ time }) => time)).toEqual([0, 1000, 1000, 2000])
    expect(log).toEqual([expect.stringMatching(/the time goes back at packet 3/)])
  })

  test('a capture that holds less than was on the wire', async () => {
    const { frames, log } = await read(pcap([{ data: frame(64), originalLength: 1514 }, ...some()]))
    expect(frames.map(({ cut }) => cut)).toEqual([true, false, false, false])
    expect(log).toEqual([expect.stringMatching(/only 64 of the 1514 bytes of packet 1/)])
  })

  test('a truncated file, wherever it ends, is read up to there', async () => {
    const bytes = pcap(some())
    const ends = [24, 24 + 76, 24 + 76 + 77, bytes.length]
    for (let length = 24; length < bytes.length; length += length < 100 ? 1 : 7) {
      const { frames, log } = await read(bytes.subarray(0, length))
      const good = ends.filter((end) => end <= length).length - 1
      expect(frames.length).toBe(good)
      expect(log.some((line) => line.includes(`ends within packet ${good + 1}`))).toBe(!ends.includes(length))
      if (!ends.includes(length))
        await expect(read(bytes.subarray(0, length), { strict: true })).rejects.toThrow(
          fileError(/it ends within packet \d; leave out strict/),
        )
    }
  })

  test('files that are no captures', async () => {
    const refused = async (bytes: Uint8Array, message: RegExp) => {
      await expect(read(bytes)).rejects.toThrow(fileError(message))
      expect(() => probeCapture(file)).toThrow(fileError(message))
    }
    await refused(Buffer.from('#!/bin/sh\necho this is no capture at all\n'), /doesn't start like a capture/)
    await refused(Buffer.alloc(0), /is empty/)
    await refused(Buffer.from('a1b2', 'hex'), /ends within its header/)
    await refused(pcap([]).subarray(0, 23), /ends within its header/)
    await refused(pcap([], { little: false }).subarray(0, 23), /ends within its header/)
    await refused(pcap([], { version: 3 }), /version 3/)
  })

  test('no file, a folder, a device', async () => {
    for (const start of [probeCapture, (name: string) => open([], { name })]) {
      expect(() => start(path.join(folder, 'none.pcap'))).toThrow(fileError(/can't read .*none.pcap: ENOENT/))
      expect(() => start(folder)).toThrow(fileError(/EISDIR/))
    }
    await expect(drain(open([], { name: '/dev/null' }))).rejects.toThrow(fileError(/is empty/))
  })

  test('lengths that no packet has', async () => {
    const bytes = pcap(some())
    bytes.writeUInt32LE(300_000, 24 + 16 + 60 + 8)
    await expect(read(bytes)).rejects.toThrow(fileError(/packet 2 claims to have 300000 bytes/))
  })

  test('a file that changes between two rounds', async () => {
    writeFileSync(file, pcap(some()))
    for (const change of [
      () => truncateSync(file, 100),
      () => appendFileSync(file, pcap(some()).subarray(24)),
    ]) {
      writeFileSync(file, pcap(some()))
      const reader = open([])
      await drain(reader)
      reader.rewind()
      change()
      await expect(drain(reader)).rejects.toThrow(fileError(/has changed while it was read/))
      reader.close()
    }
  })

  test('whatever is damaged: frames, warnings or an IxyError, never anything else', async () => {
    const section = new Section().interface(1, 0).interface(113)
    section.enhanced(0, 1n, frame(60)).simple(frame(61)).enhanced(1, 2n, frame(80)).obsolete(1, 3n, frame(90))
    const samples = [pcap(some()), pcap(some(), { magic: 0xa1b2cd34, linkType: 276 }), section.file]
    samples.push(zlib.gzipSync(samples[0]))
    const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: samples.length - 1 }),
        fc.array(change, { minLength: 1, maxLength: 8 }),
        fc.nat({ max: 40 }),
        async (sample, changes, cut) => {
          const bytes = Buffer.from(samples[sample])
          for (const { at, value } of changes) bytes[at % bytes.length] = value
          try {
            const { frames } = await read(bytes.subarray(0, bytes.length - cut))
            for (const one of frames) {
              expect(one.data.length).toBeGreaterThanOrEqual(14)
              expect(Number.isFinite(one.time)).toBe(true)
              expect(one.time).toBeGreaterThanOrEqual(0)
            }
          } catch (error) {
            expect(error).toMatchObject({ name: 'IxyError', code: 'IXY_ERR_FILE' })
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('timing', () => {
  const at = (seconds: number, fraction = 0): TestPacket => ({ seconds, fraction, data: frame(60) })
  const times = async (packets: TestPacket[], options: Partial<ReaderOptions>) =>
    (await read(pcap(packets), options)).frames.map(({ time }) => time)

  test('speed scales it, gap cuts its pauses, both of the played time', async () => {
    const packets = [at(0), at(10), at(10, 500_000), at(70_000)]
    expect(await times(packets, { speed: 2 })).toEqual([0, 5000, 5250, 35_000_000])
    expect(await times(packets, { gap: 1000 })).toEqual([0, 1000, 1500, 2500])
    expect(await times(packets, { speed: 10, gap: 1000 })).toEqual([0, 1000, 1050, 2050])
  })

  test('packets that overtook each other keep their places', async () => {
    const packets = [at(1), at(1, 20), at(1, 10), at(1, 30)]
    const got = await times(packets, {})
    expect(got[2]).toBe(got[1])
    expect(got[3]).toBeCloseTo(0.03, 9)
  })
})
