import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { readCapture, writeCapture } from './captures.ts'
import { ixy, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

const port = (frame: Uint8Array): number => (frame[34] << 8) | frame[35]
const sequence = (frame: Uint8Array): number =>
  new DataView(frame.buffer, frame.byteOffset + frame.length - 4).getUint32(0, true)

/** What a run records, in the order of sequence numbers. */
async function recorded(...args: string[]): Promise<Uint8Array[]> {
  const output = file('out.pcap')
  const { code } = await ixy('pktgen', `virtual:record=${output}`, '--quiet', ...args)
  expect(code).toBe(0)
  return readCapture(output).sort((a, b) => sequence(a) - sequence(b))
}

describe('several queues send what one would', () => {
  test('flows and sequence numbers', async () => {
    const frames = await recorded('--flows', '4', '-n', '4', '--queues', '2', '--rate', '1kpps')
    expect(frames.map((frame) => [port(frame), sequence(frame)])).toEqual([
      [42, 0],
      [43, 1],
      [44, 2],
      [45, 3],
    ])
  })

  test('sizes of IMIX, with flows that fit neither them nor the queues', async () => {
    const args = ['--imix', '--flows', '5', '-n', '1000']
    const one = await recorded(...args)
    const three = await recorded(...args, '--queues', '3')
    expect(three).toEqual(one)
    expect(one.map((frame) => sequence(frame))).toEqual(Array.from({ length: 1000 }, (_, i) => i))
  })

  test('ranges drawn at random, of TCP over IPv6 in VXLAN, with all checksums', async () => {
    const inner = [
      '--proto',
      'tcp',
      '--src-ip',
      'fd00::/112',
      '--dst-port',
      '1-7',
      '--order',
      'random',
      '--imix',
    ]
    const args = [...inner, '--vxlan', '7', '--outer-src-ip', 'fd01::1', '-n', '1000']
    const one = await recorded(...args)
    expect(new Set(one.map((frame) => Buffer.from(frame).toString('latin1', 0, 160))).size).toBe(1000)
    expect(await recorded(...args, '--queues', '3')).toEqual(one)
  })

  test('streams of a profile', async () => {
    const profile = file('streams.yaml')
    writeFileSync(
      profile,
      'streams:\n  - { count: 301, share: 2, src-port: 1-10, src-ip: 10.0.0.0/24, order: product }\n' +
        '  - { count: 100, vlan: [3, 4], proto: icmp, imix: true }\n',
    )
    const sorted = (frames: Uint8Array[]): string[] =>
      frames.map((frame) => Buffer.from(frame).toString('hex')).sort()
    const one = sorted(await recorded('--profile', profile))
    expect(one).toHaveLength(401)
    expect(sorted(await recorded('--profile', profile, '--queues', '3'))).toEqual(one)
  })

  test('frames of a capture', async () => {
    const frames = Array.from({ length: 3 }, (_, i) => new Uint8Array(60).fill(i))
    writeCapture(file('basic.pcap'), frames)
    const output = file('capture-out.pcap')
    const args = ['--pcap', file('basic.pcap'), '-n', '5', '--queues', '2']
    expect((await ixy('pktgen', `virtual:record=${output}`, ...args)).code).toBe(0)
    const numbers = readCapture(output).map((frame) => frame[0])
    expect(numbers.sort()).toEqual([0, 0, 1, 1, 2])
  })

  test('at the times of one: a packet every fortieth of a second from four queues', async () => {
    const output = file('slow.pcap')
    const args = ['--rate', '40pps', '--queues', '4', '-n', '8', '--json']
    const { code, stdout } = await ixy('pktgen', `virtual:record=${output}`, ...args)
    expect(code).toBe(0)
    const numbers = readCapture(output).map(sequence).sort()
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    // From the first to the last: not less than seven intervals, whatever else the machine does.
    const end = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { elapsed: number }
    expect(end.elapsed).toBeGreaterThan(0.17)
  })
})
