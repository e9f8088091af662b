import { closeSync, openSync, writeSync } from 'node:fs'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { readCapture, writeCapture } from './captures.ts'
import { ixy, objects, sh, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

interface End {
  devices: { tx: { packets: number; bytes: number } }[]
  virtual: { breaches: unknown[]; wires: { counters: Record<string, number> }[] }[]
}

function endOf(stdout: string): End {
  return objects(stdout, 'end')[0] as unknown as End
}

describe('frames too short for the card', () => {
  const LENGTHS = [14, 15, 16, 17]

  test.each(['ts', 'wasm'])('are filled up and sent, no rule broken (%s)', async (backend) => {
    const [input, output] = [file('short.pcap'), file('short-out.pcap')]
    const short = LENGTHS.map((length) => Uint8Array.from({ length }, (_, i) => i + 1))
    const long = new Uint8Array(100).fill(0xee)
    writeCapture(
      input,
      short.flatMap((frame) => [frame, long]),
    )
    const args = ['--pcap', input, '-n', '400', '--json', '--backend', backend]
    const { code, stdout } = await ixy('pktgen', `virtual:record=${output}`, ...args)
    expect(code).toBe(0)
    const end = endOf(stdout)
    expect(end.devices[0].tx.packets).toBe(400)
    expect(end.virtual[0].breaches).toEqual([])
    const frames = readCapture(output).filter((sent) => sent.length === 60)
    expect(frames.length).toBe(200)
    frames.forEach((sent, i) => {
      const expected = new Uint8Array(60)
      expected.set(short[i % LENGTHS.length])
      expect(Buffer.compare(sent, expected)).toBe(0)
    })
  })
})

test('what can’t be sent of a capture is skipped with a warning, the rest is sent', async () => {
  const input = file('mixed.pcap')
  writeCapture(
    input,
    [13, 60, 1519, 100, 0].map((length) => new Uint8Array(length).fill(length & 0xff)),
  )
  const output = file('mixed-out.pcap')
  const { code, stderr } = await ixy('pktgen', `virtual:record=${output}`, '--pcap', input, '-n', '10')
  expect(code).toBe(0)
  expect(stderr).toMatch(/mixed\.pcap: 3 of 5 packets are skipped/)
  expect(readCapture(output).map((frame) => frame.length)).toEqual([
    60, 100, 60, 100, 60, 100, 60, 100, 60, 100,
  ])
})

test('a capture of which nothing can be sent is refused', async () => {
  writeCapture(file('bad.pcap'), [new Uint8Array(13)])
  const { code, stderr, stdout } = await ixy('pktgen', 'virtual:sink', '--pcap', file('bad.pcap'), '--json')
  expect(code).toBe(2)
  expect(stderr).toMatch(/can't use .*bad\.pcap: it has no packet that can be sent; .* \[IXY_ERR_FILE\]/)
  expect(objects(stdout, 'end').length).toBe(1)
})

describe('a capture larger than what is kept of it in memory', () => {
  const LENGTHS = [9014, 60, 8000, 5000]
  const FRAMES = 16_000
  const input = file('large.pcap')

  beforeAll(() => {
    const fd = openSync(input, 'w')
    const header = Buffer.alloc(24)
    header.writeUInt32LE(0xa1b2c3d4)
    header.writeUInt16LE(2, 4)
    header.writeUInt16LE(4, 6)
    header.writeUInt32LE(262_144, 16)
    header.writeUInt32LE(1, 20)
    writeSync(fd, header)
    for (let number = 0; number < FRAMES; number++) {
      const length = LENGTHS[number % LENGTHS.length]
      const record = Buffer.alloc(16 + length, 2)
      record.writeUInt32LE(length, 8)
      record.writeUInt32LE(length, 12)
      record.writeUInt32LE(number, 16 + 14)
      writeSync(fd, record)
    }
    closeSync(fd)
  })

  test.each([1, 3])('is streamed, each frame once per round, to %i queues', async (queues) => {
    const output = file('large-out.pcap')
    const count = FRAMES + 100
    const args = ['--pcap', input, '-n', String(count), '--mtu', '9000', '--queues', String(queues), '--json']
    const { code, stdout } = await ixy('pktgen', `virtual:record=${output}`, ...args)
    expect(code).toBe(0)
    expect(endOf(stdout).devices[0].tx.packets).toBe(count)
    const seen = new Uint8Array(FRAMES)
    for (const frame of readCapture(output)) {
      const number = new DataView(frame.buffer, frame.byteOffset).getUint32(14, true)
      if (frame.length === LENGTHS[number % LENGTHS.length]) seen[number]++
    }
    // One expect() for each would take longer than the run.
    expect(seen.findIndex((times, number) => times !== (number < 100 ? 2 : 1))).toBe(-1)
  })

  test('is sent up to where it is cut, with a warning', async () => {
    const fd = openSync(input, 'a')
    writeSync(fd, Buffer.alloc(10))
    closeSync(fd)
    const count = FRAMES + 100
    const args = ['--pcap', input, '--mtu', '9000', '--json', '-n', String(count), '--rate', 'max']
    const { code, stderr, stdout } = await ixy('pktgen', 'virtual:sink', ...args)
    expect(code).toBe(0)
    expect(stderr).toMatch(/large\.pcap: it ends within packet 16001; it is used up to there/)
    expect(endOf(stdout).devices[0].tx.packets).toBe(count)
  })

  test('comes through a pipe once; then the run fails, as a run does', async () => {
    const fifo = file('fifo')
    sh('mkfifo', fifo)
    const writer = spawn('sh', ['-c', 'exec cat "$0" > "$1"', input, fifo], { stdio: 'ignore' })
    const args = ['--pcap', fifo, '--mtu', '9000', '--json', '--rate', 'max']
    const { code, stderr, stdout } = await ixy('pktgen', 'virtual:sink', ...args)
    expect(code).toBe(1)
    expect(stderr).toMatch(/fifo: it is too long to be sent again .* \[IXY_ERR_INPUT\]/)
    expect(endOf(stdout).devices[0].tx.packets).toBeGreaterThan(0)
    writer.kill()
  })
})

test.each(['gzip', 'plain'])(
  'a short capture comes through a pipe as often as is wanted (%s)',
  async (packing) => {
    const [input, fifo, output] = ['small.pcap', `small-${packing}`, `small-${packing}.out`].map(file)
    writeCapture(
      input,
      [60, 61, 62].map((length) => new Uint8Array(length)),
    )
    sh('mkfifo', fifo)
    const program = packing === 'gzip' ? 'gzip -c' : 'cat'
    const writer = spawn('sh', ['-c', `exec ${program} "$0" > "$1"`, input, fifo], { stdio: 'ignore' })
    const { code } = await ixy('pktgen', `virtual:record=${output}`, '--pcap', fifo, '-n', '7')
    expect(code).toBe(0)
    expect(readCapture(output).map((frame) => frame.length)).toEqual([60, 61, 62, 60, 61, 62, 60])
    writer.kill()
  },
)
