import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { CaptureWriter, numberedName, type WriterOptions } from '../../src/captures/capture-writer.ts'
import { ONE_FILE } from '../../src/captures/file-limits.ts'
import { type Layout, PcapLayout, type Stamp } from '../../src/captures/layout.ts'
import { allocateBytes, bytesOver } from '../../src/packet/bytes.ts'
import { frame } from './build.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-writer-'))
const file = path.join(folder, 'test.pcap')
afterAll(() => rmSync(folder, { recursive: true }))

const WATCH = { calledOff: () => false, waiting: () => undefined }

function open(options: Partial<WriterOptions> = {}, layout: Layout = new PcapLayout(262_144)): CaptureWriter {
  const defaults = { name: file, owner: 'self', limits: ONE_FILE } as const
  const writer = new CaptureWriter({ ...defaults, ...options }, layout, WATCH)
  writer.open()
  return writer
}

function stampOf(seconds: number, nanoseconds: number, originalLength: number): Stamp {
  return { seconds, nanoseconds, originalLength, queue: 0, drops: 0 }
}

/** A plain reader that shares nothing with the sources. */
function readAll(name = file) {
  const bytes = readFileSync(name)
  const packets: { seconds: number; fraction: number; data: Buffer; originalLength: number }[] = []
  for (let at = 24; at < bytes.length;) {
    const [seconds, fraction, length, originalLength] = [0, 4, 8, 12].map((i) => bytes.readUInt32LE(at + i))
    if (at + 16 + length > bytes.length) throw new Error(`cut within packet ${packets.length + 1}`)
    packets.push({ seconds, fraction, data: bytes.subarray(at + 16, at + 16 + length), originalLength })
    at += 16 + length
  }
  return packets
}

test('the header is that of a nanosecond capture of Ethernet', () => {
  open().close()
  expect(readFileSync(file).toString('hex')).toBe(
    '4d3cb2a1' + '02000400' + '00'.repeat(8) + '00000400' + '01000000',
  )
})

test('a record is its times, its lengths and what is kept of the frame', () => {
  const writer = open()
  writer.write(bytesOver(frame(100).slice().buffer), 7, 61, stampOf(0x65432100, 999_999_999, 1514))
  writer.close()
  writer.close()
  const record = readFileSync(file).subarray(24)
  expect(record.subarray(0, 16).toString('hex')).toBe('00214365' + 'ffc99a3b' + '3d000000' + 'ea050000')
  expect(record.subarray(16)).toEqual(Buffer.from(frame(100).subarray(7, 68)))
  expect([writer.recorded, writer.written]).toEqual([1, 24 + 16 + 61])
})

test('only whole packets ever get into the file', () => {
  const writer = open()
  const memory = allocateBytes(1514)
  for (let i = 0; i < 1000; i++) {
    writer.write(memory, 0, 1514, stampOf(i, 0, 1514))
    if (i % 100 === 50) expect(readAll().length).toBe(writer.recorded)
  }
  writer.flush()
  expect([readAll().length, writer.recorded]).toEqual([1000, 1000])
  writer.close()
})

test('what was written is read again', () => {
  const packet = fc.record({
    seconds: fc.integer({ min: 0, max: 0xffffffff }),
    fraction: fc.integer({ min: 0, max: 999_999_999 }),
    data: fc.uint8Array({ minLength: 14, maxLength: 9018 }),
  })
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 50 }), fc.integer({ min: 0, max: 9 }), (packets, offset) => {
      const writer = open()
      for (const { seconds, fraction, data } of packets) {
        const memory = allocateBytes(data.length + offset)
        memory.u8.set(data, offset)
        writer.write(memory, offset, data.length, stampOf(seconds, fraction, data.length))
      }
      writer.close()
      expect(readAll().map((one) => ({ ...one, data: Uint8Array.from(one.data) }))).toEqual(
        packets.map((one) => ({ ...one, originalLength: one.data.length })),
      )
    }),
    { numRuns: 50 },
  )
})

test('a full disk', () => {
  const full = path.join(folder, 'full')
  symlinkSync('/dev/full', full)
  const error = {
    code: 'IXY_ERR_OUTPUT',
    exitCode: 1,
    message: expect.stringMatching(/ENOSPC.*make room/) as string,
  }
  expect(() => open({ name: full })).toThrow(expect.objectContaining(error))
})

test('a file that may not grow any more ends with its last whole packet, and the count is right', () => {
  // A process of its own, as the limit is a process's: 100,352 bytes, no multiple of a record.
  const script = `
    const { pcapWriter } = require(process.argv[1])
    const writer = pcapWriter({ name: process.argv[2], owner: 'self' }, 262144, { calledOff: () => false, waiting: () => undefined })
    const stamp = (i) => ({ seconds: i, nanoseconds: 0, originalLength: 1514, queue: 0, drops: 0 })
    const memory = { u8: new Uint8Array(1514), u32: new Uint32Array(378) }
    let code = ''
    try { writer.open(); for (let i = 0; i < 5000; i++) writer.write(memory, 0, 1514, stamp(i)) }
    catch (error) { code = error.code + ' ' + error.message }
    console.log(JSON.stringify({ code, recorded: writer.recorded, written: writer.written }))`
  const bundle = path.join(folder, 'writer.cjs')
  const root = path.join(__dirname, '..', '..')
  execFileSync(path.join(root, 'node_modules', '.bin', 'esbuild'), [
    path.join(root, 'src/captures/capture-writer.ts'),
    ...['--bundle', '--platform=node', '--format=cjs', `--outfile=${bundle}`, '--log-level=error'],
    '--external:koffi',
  ])
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', 'ulimit -f 196; exec "$0" "$@"', process.execPath, '-e', script, bundle, file],
    { encoding: 'utf8', env: { ...process.env, NODE_PATH: path.join(root, 'node_modules') } },
  )
  expect(stderr).toBe('')
  const told = JSON.parse(stdout) as { code: string; recorded: number; written: number }
  expect(told.code).toMatch(/^IXY_ERR_OUTPUT .*EFBIG/)
  expect(told.recorded).toBeGreaterThan(30)
  expect(readAll().length).toBe(told.recorded)
  expect(readFileSync(file).length).toBe(told.written)
})

describe('several files', () => {
  test('are named as dumpcap names them', () => {
    const now = new Date(2026, 10, 27, 1, 33, 6)
    expect(numberedName('out.pcap', 1, now)).toBe('out_00001_20261127013306.pcap')
    expect(numberedName('a.b/out', 12, now)).toBe('a.b/out_00012_20261127013306')
    expect(numberedName('a.b/.out', 12, now)).toBe('a.b/.out_00012_20261127013306')
  })

  test.each([
    ['all are kept', Infinity, 5],
    ['the newest are kept', 2, 2],
  ])('%s', (_, files, left) => {
    const ring = mkdtempSync(path.join(folder, 'ring-'))
    writeFileSync(path.join(ring, 'mine.pcap'), 'not yours')
    const writer = open({
      name: path.join(ring, 'out.pcap'),
      limits: { ...ONE_FILE, single: false, fileBytes: 10_000, files },
    })
    const memory = allocateBytes(984)
    // Ten records of 1000 bytes are the first that reach 10,000 with the header.
    for (let i = 0; i < 45; i++) writer.write(memory, 0, 984, stampOf(i, 0, 984))
    writer.close()
    expect(writer.recorded).toBe(45)
    const names = readdirSync(ring).sort()
    expect(names.pop()).toMatch(/^out_00005_\d{14}\.pcap$/)
    const rest = names.filter((name) => name !== 'mine.pcap')
    expect(names.length - rest.length).toBe(1)
    expect(rest.length + 1).toBe(left)
    for (const name of rest) expect(readAll(path.join(ring, name)).length).toBe(10)
  })
})
