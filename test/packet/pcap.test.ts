import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { checkPcap, PcapReader } from '../../src/packet/pcap-reader.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-pcap-'))
const file = path.join(folder, 'test.pcap')
afterAll(() => rmSync(folder, { recursive: true }))

interface Packet {
  readonly seconds: number
  readonly fraction: number
  readonly data: Uint8Array
  readonly originalLength?: number
}

/** A capture built by hand, from the format's description. */
function capture(
  packets: readonly Packet[],
  little: boolean,
  magic = 0xa1b2c3d4,
  linkType = 1,
  version = 2,
): Buffer {
  const header = Buffer.alloc(24)
  const u16 = (b: Buffer, v: number, at: number) => (little ? b.writeUInt16LE(v, at) : b.writeUInt16BE(v, at))
  const u32 = (b: Buffer, v: number, at: number) => (little ? b.writeUInt32LE(v, at) : b.writeUInt32BE(v, at))
  u32(header, magic, 0)
  u16(header, version, 4)
  u16(header, 4, 6)
  u32(header, 65535, 16)
  u32(header, linkType, 20)
  const records = packets.flatMap(({ seconds, fraction, data, originalLength }) => {
    const record = Buffer.alloc(16)
    u32(record, seconds, 0)
    u32(record, fraction, 4)
    u32(record, data.length, 8)
    u32(record, originalLength ?? data.length, 12)
    return [record, data]
  })
  return Buffer.concat([header, ...records])
}

function readAll(name = file) {
  const reader = new PcapReader(name)
  const packets: Packet[] = []
  try {
    while (reader.next()) {
      const data = reader.memory.u8.slice(reader.offset, reader.offset + reader.length)
      packets.push({
        seconds: reader.seconds,
        fraction: reader.nanoseconds,
        data,
        originalLength: reader.originalLength,
      })
    }
    return packets
  } finally {
    reader.close()
  }
}

const frame = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => i * seed + length)
const some = (): Packet[] => [
  { seconds: 1_700_000_000, fraction: 5, data: frame(60) },
  { seconds: 1_700_000_000, fraction: 999_999, data: frame(61, 3) },
  { seconds: 4_294_967_295, fraction: 0, data: frame(1514, 7) },
]
const fileError = (message: string | RegExp) =>
  expect.objectContaining({ code: 'IXY_ERR_FILE', exitCode: 2, message: expect.stringMatching(message) })

describe('reading', () => {
  describe.each([
    ['little-endian', true],
    ['big-endian', false],
  ])('%s', (_, little) => {
    test.each([
      ['microseconds', 0xa1b2c3d4, 1000],
      ['nanoseconds', 0xa1b23c4d, 1],
    ])('%s', (_unit, magic, factor) => {
      writeFileSync(file, capture(some(), little, magic))
      expect(readAll()).toEqual(
        some().map(({ seconds, fraction, data }) => ({
          seconds,
          fraction: fraction * factor,
          data,
          originalLength: data.length,
        })),
      )
    })
  })

  test('a capture without packets', () => {
    writeFileSync(file, capture([], true))
    expect(readAll()).toEqual([])
    expect(checkPcap(file)).toEqual({ packets: 0, bytes: 0, cut: 0 })
  })

  test('a capture much larger than the buffer, twice', () => {
    const packets = Array.from({ length: 3000 }, (_, i) => ({
      seconds: i,
      fraction: i,
      data: frame(60 + (i % 1455), i),
    }))
    writeFileSync(file, capture(packets, true))
    const reader = new PcapReader(file)
    for (let round = 0; round < 2; round++) {
      let i = 0
      for (; reader.next(); i++) {
        const { data } = packets[i]
        const got = Buffer.from(reader.memory.u8.buffer, reader.offset, reader.length)
        if (reader.seconds !== i || !got.equals(data)) throw new Error(`packet ${i} differs`)
      }
      expect(i).toBe(3000)
      expect(reader.packets).toBe(3000)
      expect(reader.next()).toBe(false)
      reader.rewind()
    }
    reader.close()
    reader.close()
  })

  test('packets cut by the snap length are told apart', () => {
    writeFileSync(
      file,
      capture([{ seconds: 0, fraction: 0, data: frame(64), originalLength: 1514 }, ...some()], false),
    )
    expect(readAll()[0].originalLength).toBe(1514)
    expect(checkPcap(file)).toEqual({ packets: 4, bytes: 64 + 60 + 61 + 1514, cut: 1 })
  })

  test('an FCS that the file announces is taken off', () => {
    const linkType = (2 << 28) | 0x04000000 | 1
    writeFileSync(file, capture([{ seconds: 0, fraction: 0, data: frame(64) }], true, 0xa1b2c3d4, linkType))
    expect(readAll()[0].data).toEqual(frame(64).subarray(0, 60))
  })
})

describe('what can’t be read is named', () => {
  const expectError = (bytes: Uint8Array, message: RegExp) => {
    writeFileSync(file, bytes)
    expect(() => readAll()).toThrow(fileError(message))
    expect(() => checkPcap(file)).toThrow(fileError(message))
  }

  test('pcapng, with the way to convert it', () => {
    expectError(Buffer.from('0a0d0d0a1c0000004d3c2b1a', 'hex'), /pcapng.*editcap -F pcap/)
    expectError(
      Buffer.concat([Buffer.from('0a0d0d0a0000001c1a2b3c4d', 'hex'), Buffer.alloc(100)]),
      /pcapng.*editcap/,
    )
  })

  test('other files', () => {
    expectError(Buffer.from('#!/bin/sh\necho this is no capture at all\n'), /doesn't start like a pcap file/)
    expectError(Buffer.alloc(0), /is empty/)
    expectError(Buffer.from('a1b2', 'hex'), /ends within its header/)
    expectError(capture([], true).subarray(0, 23), /ends within its header/)
    expectError(capture([], false).subarray(0, 23), /ends within its header/)
  })

  test('other link types and versions', () => {
    expectError(capture([], true, 0xa1b2c3d4, 113), /not of Ethernet \(link type 113\)/)
    expectError(capture([], false, 0xa1b2c3d4, 1, 3), /version 3/)
  })

  test('lengths that can’t be', () => {
    const bytes = capture(some(), true)
    bytes.writeUInt32LE(300_000, 24 + 16 + 60 + 8)
    expectError(bytes, /packet 2 claims to have 300000 bytes; 1 packet before it is good/)
  })

  test('a truncated file, wherever it ends, with the number of good packets', () => {
    const bytes = capture(some(), true)
    const ends = [24, 24 + 76, 24 + 76 + 77, bytes.length]
    for (let length = 24; length < bytes.length; length++) {
      writeFileSync(file, bytes.subarray(0, length))
      const good = ends.filter((end) => end <= length).length - 1
      if (ends.includes(length)) expect(readAll().length).toBe(good)
      else if (length % 7 === 0 || length < 60)
        expect(() => readAll()).toThrow(
          fileError(
            `ends within packet ${good + 1}; ${good} packets? before it (is|are) good; keep the good part`,
          ),
        )
    }
  })

  test('no file, a folder, a device', () => {
    expect(() => new PcapReader(path.join(folder, 'none.pcap'))).toThrow(
      fileError(/can't read .*none.pcap: ENOENT/),
    )
    expect(() => new PcapReader(folder)).toThrow(fileError(/not a regular file/))
    expect(() => new PcapReader('/dev/null')).toThrow(fileError(/not a regular file/))
  })
})
