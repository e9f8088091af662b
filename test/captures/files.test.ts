import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { CaptureFile, type CaptureRecord, readCapture } from '../../src/captures/files.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-captures-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = path.join(folder, 'a.pcap')

async function all(name: string): Promise<CaptureRecord[]> {
  const records: CaptureRecord[] = []
  for await (const record of readCapture(name)) records.push(record)
  return records
}

const record = fc
  .record({
    data: fc.uint8Array({ minLength: 1, maxLength: 2000 }),
    cut: fc.nat(100),
    seconds: fc.nat(0xffff_ffff),
    nanoseconds: fc.nat(999_999_999),
  })
  .map(({ cut, data, ...time }): CaptureRecord => ({
    data,
    wireLength: data.length + cut,
    ...time,
    linkType: 1,
  }))

test('what is written is read, to the nanosecond', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 20 }), fc.nat(5), async (records, offset) => {
      const capture = new CaptureFile(file)
      for (const { data, seconds, nanoseconds, wireLength } of records) {
        const memory = new Uint8Array(data.length + 10)
        memory.set(data, offset)
        capture.write(memory, offset, data.length, seconds, nanoseconds, wireLength)
      }
      capture.close()
      expect(await all(file)).toEqual(records)
    }),
    { numRuns: 50 },
  )
})

test('the time is now unless it is given', async () => {
  const before = Date.now() / 1000
  const capture = new CaptureFile(file)
  capture.write(new Uint8Array(60))
  capture.close()
  capture.close()
  const [{ seconds, nanoseconds }] = await all(file)
  expect(seconds + nanoseconds / 1e9).toBeGreaterThan(before - 1)
  expect(seconds + nanoseconds / 1e9).toBeLessThan(Date.now() / 1000 + 1)
})

test('packed ones, more than fits in memory at once, and leaving early', async () => {
  const capture = new CaptureFile(file)
  for (let i = 0; i < 1000; i++) capture.write(new Uint8Array(1514).fill(i))
  capture.close()
  const packed = path.join(folder, 'a.pcap.gz')
  writeFileSync(packed, gzipSync(readFileSync(file)))
  const records = await all(packed)
  expect(records.map(({ data }) => data[0])).toEqual(Array.from({ length: 1000 }, (_, i) => i & 0xff))
  for await (const { data } of readCapture(packed)) {
    expect(data.length).toBe(1514)
    break
  }
})

test('a capture that is cut: the packets before, then an error', async () => {
  const capture = new CaptureFile(file)
  for (let i = 0; i < 3; i++) capture.write(new Uint8Array(60))
  capture.close()
  writeFileSync(file, readFileSync(file).subarray(0, -10))
  let count = 0
  const reading = (async () => {
    for await (const { data } of readCapture(file)) count += data.length
  })()
  await expect(reading).rejects.toMatchObject({
    code: 'IXY_ERR_FILE',
    message: expect.stringContaining('packet 3'),
  })
  expect(count).toBe(120)
})

test('what can’t be read or written is refused', async () => {
  await expect(all(path.join(folder, 'none'))).rejects.toMatchObject({ code: 'IXY_ERR_FILE' })
  writeFileSync(file, 'no capture')
  await expect(all(file)).rejects.toMatchObject({ code: 'IXY_ERR_FILE' })
  expect(() => new CaptureFile(path.join(folder, 'no/such'))).toThrow(
    expect.objectContaining({ code: 'IXY_ERR_OUTPUT' }),
  )
  const capture = new CaptureFile(file)
  for (const [offset, length] of [
    [-1, 5],
    [0, 11],
    [8, 3],
    [NaN, 2],
    [0, -1],
  ])
    expect(() => capture.write(new Uint8Array(10), offset, length)).toThrow(RangeError)
  capture.close()
  expect(await all(file)).toEqual([])
})
