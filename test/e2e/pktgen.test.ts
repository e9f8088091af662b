import path from 'node:path'
import { readCapture } from './captures.ts'
import { type Outcome, describeIf, ixy, missing, objects, sh, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

/** What is sent unless something else is asked for. */
const plain = file('out.pcap')
let run: Outcome
beforeAll(async () => {
  run = await ixy('pktgen', '--json', `virtual:record=${plain}`, '--count', '10000')
})

describe('pktgen into a capture', () => {
  test('sends exactly as many packets as asked, numbered from 0', () => {
    const { code, stdout } = run
    expect(code).toBe(0)
    expect(objects(stdout, 'end')[0]).toMatchObject({
      reason: 'count',
      devices: [{ tx: { packets: 10000, bytes: 600000 } }],
    })
    const frames = readCapture(plain)
    expect(frames.length).toBe(10000)
    expect(new Set(frames.map(({ length }) => length))).toEqual(new Set([60]))
    // One expect() for each would take longer than the run.
    const numbers = frames.map((frame) => new DataView(frame.buffer, frame.byteOffset).getUint32(56, true))
    expect(numbers.findIndex((number, i) => number !== i)).toBe(-1)
  })

  test('sends flows in turn, tagged, of the size asked for', async () => {
    const output = file('flows.pcap')
    const args = ['--count', '640', '--flows', '64', '--vlan', '42', '--size', '128', '--dst-ip', '192.0.2.9']
    expect((await ixy('pktgen', `virtual:record=${output}`, ...args)).code).toBe(0)
    const frames = readCapture(output)
    expect(frames.length).toBe(640)
    const ports = new Map<number, number>()
    for (const frame of frames) {
      const view = new DataView(frame.buffer, frame.byteOffset)
      expect(frame.length).toBe(128)
      expect(view.getUint16(12)).toBe(0x8100)
      expect(view.getUint16(14) & 0xfff).toBe(42)
      expect(view.getUint32(34)).toBe(0xc0000209)
      const port = view.getUint16(38)
      ports.set(port, (ports.get(port) ?? 0) + 1)
    }
    expect(ports.size).toBe(64)
    expect([...ports.values()].every((count) => count === 10)).toBe(true)
  })

  test('mixes sizes 7:4:1', async () => {
    const output = file('imix.pcap')
    expect((await ixy('pktgen', `virtual:record=${output}`, '--count', '1200', '--imix')).code).toBe(0)
    const sizes = readCapture(output).map((frame) => frame.length)
    const count = (size: number): number => sizes.filter((other) => other === size).length
    expect([count(60), count(566), count(1514)]).toEqual([700, 400, 100])
  })

  test('sends a capture over and over', async () => {
    const [input, output] = [plain, file('again.pcap')]
    expect((await ixy('pktgen', `virtual:record=${output}`, '--count', '25000', '--pcap', input)).code).toBe(
      0,
    )
    const [sent, recorded] = [readCapture(input), readCapture(output)]
    expect(recorded.length).toBe(25000)
    expect(recorded.findIndex((frame, i) => Buffer.compare(frame, sent[i % sent.length]) !== 0)).toBe(-1)
  })
})

describeIf(missing({ programs: ['tshark', 'tcpdump'] }), 'pktgen, judged by tshark and tcpdump', () => {
  test('packets are what the command line says, with correct checksums', () => {
    expect(sh('tcpdump', '-n', '-r', plain, '-c', '1')).toMatch(
      /IP 10\.0\.0\.1\.42 > 10\.0\.0\.2\.1337: UDP, length 18/,
    )
    const check = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE']
    const fields = ['ip.checksum.status', '_ws.malformed', 'udp.payload']
    const rows = sh(
      'tshark',
      '-n',
      '-r',
      plain,
      ...check,
      '-T',
      'fields',
      ...fields.flatMap((name) => ['-e', name]),
    )
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'))
    expect(rows.length).toBe(10000)
    // 1: good
    expect(new Set(rows.map((row) => row.slice(0, 2).join()))).toEqual(new Set(['1,']))
    const payloads = rows.map((row) => row[2])
    expect(payloads[0].startsWith('697879')).toBe(true)
    expect(payloads[9999].endsWith('0f270000')).toBe(true)
  })
})

describe('pktgen by the clock', () => {
  test.each([
    ['100kpps', [], 100_000],
    ['100Mbit', ['--size', '1514'], 100e6 / ((1514 + 24) * 8)],
    ['1%', [], 100e6 / (84 * 8)],
  ])('--rate %s is never exceeded, and kept as far as the machine lets it', async (rate, more, expected) => {
    const args = ['pktgen', '--json', 'virtual:sink', '--rate', rate, '--duration', '0.4', ...more]
    const { code, stdout } = await ixy(...args)
    expect(code).toBe(0)
    const [end] = objects(stdout, 'end') as { elapsed: number; devices: { tx: { packets: number } }[] }[]
    const measured = end.devices[0].tx.packets / end.elapsed
    // How exactly it is kept on a machine of its own stands in docs/performance.md.
    expect(measured).toBeGreaterThan(expected * 0.1)
    expect(measured).toBeLessThan(expected * 1.01)
  })
})
