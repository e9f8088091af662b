import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { mixedFrames, readCapture, writeCapture } from './captures.ts'
import { ixy, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

describe('forward from capture to capture', () => {
  const frames = mixedFrames(3000)

  test.each([
    ['microseconds, little-endian', {}],
    ['nanoseconds, little-endian', { nanoseconds: true }],
    ['microseconds, big-endian', { bigEndian: true }],
    ['nanoseconds, big-endian', { nanoseconds: true, bigEndian: true }],
  ])('every frame comes out byte for byte and in order (%s)', async (_, format) => {
    const [input, output] = [file('in.pcap'), file('out.pcap')]
    writeCapture(input, frames, format)
    expect((await ixy('forward', `virtual:replay=${input}`, `virtual:record=${output}`)).code).toBe(0)
    const received = readCapture(output)
    expect(received.length).toBe(frames.length)
    received.forEach((frame, i) => expect(Buffer.compare(frame, frames[i])).toBe(0))
  })

  test.each(['ts', 'wasm'])('--touch changes byte 48 and nothing else (%s)', async (backend) => {
    const [input, output] = [file('in.pcap'), file('touched.pcap')]
    writeCapture(input, frames)
    expect(
      (
        await ixy(
          'forward',
          '--touch',
          '--backend',
          backend,
          `virtual:replay=${input}`,
          `virtual:record=${output}`,
        )
      ).code,
    ).toBe(0)
    const received = readCapture(output)
    expect(received.length).toBe(frames.length)
    received.forEach((frame, i) => {
      const expected = Uint8Array.from(frames[i])
      expected[48]++
      expect(Buffer.compare(frame, expected)).toBe(0)
    })
  })

  test('the summary says that it ended by itself, and counts every frame', async () => {
    const input = file('in.pcap')
    writeCapture(input, frames)
    const { code, stdout } = await ixy('forward', '--json', `virtual:replay=${input}`, 'virtual:sink')
    expect(code).toBe(0)
    const end = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      reason: string
      devices: { rx: { packets: number; bytes: number }; tx: { packets: number; bytes: number } }[]
    }
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0)
    expect(end.reason).toBe('done')
    expect(end.devices[0].rx).toMatchObject({ packets: frames.length, bytes })
    expect(end.devices[1].tx).toMatchObject({ packets: frames.length, bytes })
  })

  test.each(['ts', 'wasm'])('both ways at once (%s)', async (backend) => {
    const [a, b] = [mixedFrames(2000, 2), mixedFrames(2000, 3)]
    writeCapture(file('a.pcap'), a)
    writeCapture(file('b.pcap'), b)
    const { code } = await ixy(
      'forward',
      '--backend',
      backend,
      `virtual:replay=${file('a.pcap')},record=${file('a-out.pcap')}`,
      `virtual:replay=${file('b.pcap')},record=${file('b-out.pcap')}`,
    )
    expect(code).toBe(0)
    expect(readCapture(file('b-out.pcap')).map((frame) => Buffer.from(frame).toString('hex'))).toEqual(
      a.map((frame) => Buffer.from(frame).toString('hex')),
    )
    expect(readCapture(file('a-out.pcap')).map((frame) => Buffer.from(frame).toString('hex'))).toEqual(
      b.map((frame) => Buffer.from(frame).toString('hex')),
    )
  })
})

describe('captures that are not as they should be', () => {
  test('a truncated one tells how many packets are good', async () => {
    const input = file('cut.pcap')
    writeCapture(input, mixedFrames(10))
    truncateSync(input, readFileSync(input).length - 5)
    const { code, stdout, stderr } = await ixy('forward', `virtual:replay=${input}`, 'virtual:sink')
    expect(code).toBe(2)
    expect(stderr).toMatch(/cut\.pcap.*9 packets.*\[IXY_ERR_FILE\]/)
    expect(stdout).toBe('')
  })

  test('pcapng is refused by name', async () => {
    const input = file('new.pcapng')
    writeFileSync(input, Uint8Array.of(0x0a, 0x0d, 0x0d, 0x0a, ...new Uint8Array(60)))
    const { code, stderr } = await ixy('forward', `virtual:replay=${input}`, 'virtual:sink')
    expect(code).toBe(2)
    expect(stderr).toMatch(/pcapng.*editcap -F pcap/)
  })
})
