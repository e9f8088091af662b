import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { makeJobs } from '../../../src/apps/pktgen/plan.ts'
import { readProfile } from '../../../src/apps/pktgen/profile.ts'
import { StreamFrames } from '../../../src/apps/pktgen/stream-source.ts'
import { shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import { MonotonicClock } from '../../../src/linux/monotonic.ts'
import { temporaryDirectory } from '../../e2e/support.ts'
import { POOL, makeMemory, packet } from './memory.ts'

const directory = temporaryDirectory()
const SURROUNDINGS = { mtu: 1500, payload: 0 }

function profile(text: string, name = 'p.yaml'): ReturnType<typeof readProfile> {
  const file = path.join(directory, name)
  writeFileSync(file, text)
  return readProfile(file, SURROUNDINGS)
}

const GOOD = `
streams:
  - name: voice
    rate: 50kpps
    size: 200
    dst-ip: 10.0.0.1-10.0.0.9
    udp-checksum: on
  - rate: 1Mbit
    count: 1k
    imix: true
    vlan: [100, 200]   # QinQ
    proto: tcp
    tcp-flags: [syn, ack]
    src-port: 1024-2047
    order: random
    seed: 5
`

test('streams are read, from YAML and from JSON', () => {
  const [voice, other] = profile(GOOD)
  expect(voice).toMatchObject({ name: 'voice', rate: '50kpps', count: null, share: 1 })
  expect(voice.shape).toMatchObject({
    sizes: [200],
    counts: { destinationIp: 9 },
    template: { udpChecksum: true },
  })
  expect(other).toMatchObject({ name: 'stream 2', rate: '1Mbit', count: 1000 })
  expect(other.shape).toMatchObject({ counts: { sourcePort: 1024 }, order: 'random', seed: 5 })
  expect(other.shape.template).toMatchObject({ vlans: [100, 200], protocol: 'tcp', tcpFlags: 0x12 })
  const json = profile('{"streams": [{"share": 3, "imix": false}, {"share": 0.5, "vxlan": 7}]}', 'p.json')
  expect(json.map(({ share, rate }) => [share, rate])).toEqual([
    [3, null],
    [0.5, null],
  ])
  expect(json[1].shape.template.vxlan?.vni).toBe(7)
})

test.each([
  ['', /p\.yaml has no streams; begin with "streams:"/],
  ['streams: []', /has no streams/],
  ['- size: 60', /has no streams/],
  ['stream:\n  - size: 60', /p\.yaml: there is no key stream; did you mean streams\?/],
  ['streams:\n  - szie: 60', /p\.yaml: stream 1: there is no key szie; did you mean size\?/],
  [
    'streams:\n  - name: a b\n    dst_ip: 1',
    /stream 1 \(a b\): there is no key dst_ip; did you mean dst-ip\?/,
  ],
  ['streams:\n  - frobnicate: 1', /there is no key frobnicate; give one of name, rate, share, count, size/],
  [
    'streams:\n  - size: 60\n  - vlan: 4095',
    /p\.yaml: stream 2: vlan 4095 is not valid; give a whole number/,
  ],
  ['streams:\n  - src-mac: 1:2', /stream 1: .*'1:2' is not a MAC address/],
  ['streams:\n  - size: {a: 1}', /stream 1: size is not valid; give one value, or a list/],
  ['streams:\n  - 60', /stream 1 is no list of keys/],
  ['streams:\n  - rate: fast', /stream 1: 'fast' is not a packet rate/],
  ['streams:\n  - rate: max', /stream 1: rate max is not for one of several streams; give shares/],
  ['streams:\n  - rate: 1kpps\n    share: 2', /stream 1 has both rate and share/],
  ['streams:\n  - rate: 1kpps\n  - share: 2', /1 of 2 streams have a rate; give each of them one, or none/],
  ['streams:\n  - share: 0', /share 0 is not valid; give a number above 0/],
  ['streams:\n  - count: 0', /stream 1: count 0 is not valid/],
  ['streams:\n  - imix: 3', /stream 1: imix 3 is not valid; write true or false/],
  ['streams:\n  - imix: true\n    size: 60', /stream 1: size cannot be used with imix/],
  ['streams:\n  - proto: icmp\n    flows: 3', /stream 1: flows means nothing for ICMP/],
  ['streams:\n  - name: x\n  - name: x', /two streams are called x/],
  ['streams:\n  - name: "a\\nb"', /stream 1: name "a\\nb" is not valid/],
  [`streams:\n${'  - size: 60\n'.repeat(17)}`, /has 17 streams; give at most 16/],
  ['streams: [', /p\.yaml: .*line 1.*; mend the YAML there/],
])('%j is refused', (text, message) => {
  expect(() => profile(text)).toThrow(message)
})

test('a file that is not there is named', () => {
  expect(() => readProfile('/no/p.yaml', SURROUNDINGS)).toThrow(
    /\/no\/p\.yaml: ENOENT: no such file.*; name a file/,
  )
})

const OPTIONS = {
  shape: shapeOf({}, { ...SURROUNDINGS, called: (name) => name }),
  ...{ rate: null, count: null, latency: false, pcap: null, answer: [] },
}

/** Rates that a run on a link of 10 Gbit/s gives the streams. */
function ratesOf(text: string, rate: string | null, physical = false): (number | null)[] {
  const options = { ...OPTIONS, rate, streams: profile(text) }
  const [{ frames }] = makeJobs(options, { physical: [physical], queues: 1, mtu: 1500 }, null, 10_000)
  return frames.kind === 'streams' ? frames.streams.map((stream) => stream.rate) : []
}

test('rates are kept, shares are shared out', () => {
  expect(ratesOf(GOOD, null)).toEqual([50_000, expect.closeTo(1e6 / ((352.8 + 24) * 8), -1)])
  const shares = 'streams:\n  - share: 3\n  - share: 1\n    size: 1514'
  expect(ratesOf(shares, '4kpps')).toEqual([3000, 1000])
  // 1 Gbit/s of frames of 423.5 bytes on average.
  const all = 1e9 / ((423.5 + 24) * 8)
  expect(ratesOf(shares, '1Gbit')).toEqual([expect.closeTo(0.75 * all, 3), expect.closeTo(0.25 * all, 3)])
  expect(ratesOf(shares, 'max')).toEqual([null, null])
  expect(ratesOf(shares, null, true)).toEqual([null, null])
  expect(ratesOf(shares, null)).toEqual([expect.closeTo(7.5 * all, 2), expect.closeTo(2.5 * all, 2)])
})

test('a pipe is refused: nobody may ever write to it', () => {
  const pipe = path.join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  expect(() => readProfile(pipe, SURROUNDINGS)).toThrow(/it is no regular file; name a file/)
})

test('more than the link carries is refused', () => {
  const text = 'streams:\n  - rate: 6Gbit\n  - rate: 5Gbit'
  expect(() => ratesOf(text, null)).toThrow(
    /the streams together are 1\.100e\+4 Mbit\/s, and the link carries 10000/,
  )
})

describe('several streams', () => {
  const shares = profile(
    'streams:\n  - share: 3\n    imix: true\n    flows: 5\n  - share: 1\n    src-ip: fd00::/112',
    's',
  )
  const counted = shares.map((stream, i) => ({ ...stream, count: [700, 201][i] }))

  function sent(streams: typeof shares, index: number, of: number, total: number): Buffer[] {
    const [{ frames }] = makeJobs(
      { ...OPTIONS, streams, rate: 'max' },
      { physical: [false], queues: 1, mtu: 1500 },
      null,
      0,
    )
    if (frames.kind !== 'streams') throw new Error('no streams')
    const memory = makeMemory()
    const source = new StreamFrames(memory, POOL, frames.streams, { index, of }, new MonotonicClock())
    source.begin(0)
    const batch = new Int32Array(32)
    const packets: Buffer[] = []
    for (let made = 1; packets.length < total && made > 0;) {
      made = source.next(batch, Math.min(7, total - packets.length))
      for (const id of batch.subarray(0, made)) packets.push(Buffer.from(packet(memory, id)))
      memory.free(batch.slice(0, made).reverse(), 0, made)
    }
    expect(source.sent).toBe(packets.length)
    expect(source.sentOfEach.reduce((sum, count) => sum + count, 0)).toBe(packets.length)
    return packets
  }
  const isIpv6 = (frame: Buffer): boolean => frame.readUInt16BE(12) === 0x86dd

  test('have their shares, at any time', () => {
    const packets = sent(shares, 0, 1, 4000)
    for (const end of [40, 400, 4000]) {
      const ipv6 = packets.slice(0, end).filter(isIpv6).length
      // A batch of 7 of one stream stays together.
      expect(Math.abs(ipv6 - end / 4)).toBeLessThanOrEqual(7)
    }
  })

  test.each([
    ['a rate of its own', '{rate: 20kpps}', null],
    ['its share of --rate', '{}', '20kpps'],
  ])('what %s asks for is made up for after a pause', (_name, stream, rate) => {
    const streams = profile(`streams: [${stream}]`, 's')
    const [{ frames }] = makeJobs(
      { ...OPTIONS, streams, rate },
      { physical: [false], queues: 1, mtu: 1500 },
      null,
      0,
    )
    if (frames.kind !== 'streams') throw new Error('no streams')
    const memory = makeMemory()
    const now = Float64Array.of(0)
    const clock = { read: () => undefined, last: now }
    const source = new StreamFrames(memory, POOL, frames.streams, { index: 0, of: 1 }, clock)
    source.begin(0)
    const batch = new Int32Array(32)
    for (now[0] = 0; now[0] <= 1000; now[0] += now[0] === 300 ? 200 : 0.5) {
      for (let made = 1; made > 0;) {
        made = source.next(batch, 32)
        memory.free(batch, 0, made)
      }
    }
    expect(source.sent).toBeGreaterThanOrEqual(19_999)
    expect(source.sent).toBeLessThanOrEqual(20_001)
  })

  test('line rate is owed nothing for the time before the first packet', () => {
    const streams = profile('streams: [{}]', 's')
    const [{ frames }] = makeJobs(
      { ...OPTIONS, streams },
      { physical: [false], queues: 1, mtu: 1500 },
      null,
      10_000,
    )
    if (frames.kind !== 'streams') throw new Error('no streams')
    const memory = makeMemory()
    const clock = { read: () => undefined, last: Float64Array.of(1009) }
    const source = new StreamFrames(memory, POOL, frames.streams, { index: 0, of: 1 }, clock)
    source.begin(1000)
    expect(source.next(new Int32Array(32), 32)).toBe(1)
  })

  test('end, each after its count, and several workers send together what one would', () => {
    const texts = (packets: Buffer[]): string[] => packets.map((frame) => frame.toString('latin1')).sort()
    const one = sent(counted, 0, 1, Infinity)
    expect(one.filter(isIpv6)).toHaveLength(201)
    expect(one).toHaveLength(901)
    const three = [0, 1, 2].flatMap((index) => sent(counted, index, 3, Infinity))
    expect(texts(three)).toEqual(texts(one))
  })
})
