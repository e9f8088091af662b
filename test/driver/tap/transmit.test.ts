import fc from 'fast-check'
import * as COUNTER from '../../../src/driver/tap/counters.ts'
import { OffloadFlag } from '../../../src/memory/offloads.ts'
import { completeChecksum } from '../../../src/packet/checksum.ts'
import { IpProtocol } from '../../../src/packet/ipv4.ts'
import { Segmentation } from '../../../src/packet/segmentation.ts'
import { TcpFlag } from '../../../src/packet/tcp.ts'
import { build, type Large } from '../../packet/large-packets.ts'
import { EINVAL, EIO, type Framed, NO_HEADER, Rig } from './rig.ts'

const { ACK, FIN, PSH, SYN, CWR } = TcpFlag

/** A segment of the flow with this number. */
interface Segment {
  readonly flow: number
  readonly v6: boolean
  readonly udp?: boolean
  readonly sequence: number
  readonly length: number
  readonly flags?: number
  readonly tag?: number | null
  readonly tcpOptions?: number
  readonly extended?: boolean
  readonly ipOptions?: number
  readonly identification?: number
}

function frameOf(segment: Segment, open = false): Uint8Array {
  const { flow, v6, sequence, length } = segment
  const packet: Large = {
    v6,
    udp: segment.udp ?? false,
    tag: segment.tag ?? null,
    ipOptions: segment.ipOptions ?? 0,
    tcpOptions: segment.tcpOptions ?? 3,
    extended: segment.extended ?? false,
    identification: segment.identification ?? 0,
    sequence,
    flags: segment.flags ?? ACK,
    payload: Uint8Array.from({ length }, (_, i) => (sequence + i) & 0xff),
    segment: length,
  }
  const { frame, checksumStart, checksumOffset } = build(packet, open)
  // Its port, and what that means for the checksum; the IP header's, which build() leaves wrong where it is open, isn't touched.
  frame[checksumStart + 1] ^= flow
  const field = checksumStart + checksumOffset
  const view = new DataView(frame.buffer)
  if (!open && flow !== 0) view.setUint16(field, adjusted(view.getUint16(field), 0x20 ^ flow, 0x20))
  return frame
}

/** A checksum when the low byte of a word it covers is `after` instead of `before`. */
function adjusted(checksum: number, after: number, before: number): number {
  let sum = (~checksum & 0xffff) + after - before
  if (sum < 0) sum += 0xffff
  sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** What a network sees of what was written: cut again, and complete. */
function onTheWire({ header, frame }: Framed): Uint8Array[] {
  const { flags, gso, headerBytes, segment, checksumStart, checksumOffset } = header
  if (gso === 0) {
    const packet = frame.slice()
    if (flags === 1) completeChecksum(packet, checksumStart, packet.length - checksumStart, checksumOffset)
    return [packet]
  }
  const plan = new Segmentation()
  const isUdp = checksumOffset === 6
  const protocol = isUdp ? IpProtocol.UDP : IpProtocol.TCP
  expect(plan.aim(frame, 0, frame.length, checksumStart, headerBytes, segment, protocol)).toBe(true)
  const tcp = frame[12] === 0x86 ? 4 : 1
  expect({ flags, gso }).toEqual({ flags: 1, gso: isUdp ? 5 : tcp })
  return Array.from({ length: plan.count }, (_, k) => {
    const packet = new Uint8Array(2048)
    const length = plan.write(k, packet, 0)
    completeChecksum(packet, checksumStart, length - checksumStart, checksumOffset)
    return packet.slice(0, length)
  })
}

let rig: Rig
afterEach(() => rig.close())

function send(frames: readonly Uint8Array[]): Framed[] {
  const free = rig.memory.available(1)
  const ids = rig.packets(frames)
  expect(rig.tx.transmit(ids, 0, ids.length)).toBe(ids.length)
  expect(rig.memory.available(1)).toBe(free)
  return rig.written.splice(0)
}

/** `count` segments in a row. */
function row(segment: Segment, count: number): Segment[] {
  return Array.from({ length: count }, (_, i) => ({
    ...segment,
    sequence: (segment.sequence + i * segment.length) | 0,
    identification: (i + 7) & 0xffff,
  }))
}

const BASE: Segment = { flow: 0, v6: false, sequence: -3000, length: 1000 }

test.each([
  ['IPv4', false],
  ['IPv6', true],
])(
  'segments of %s that follow each other go as one, and are what they were when it is cut again',
  (_, v6) => {
    rig = new Rig()
    const frames = row({ ...BASE, v6 }, 9).map((segment) => frameOf(segment))
    const written = send(frames)
    expect(written).toHaveLength(1)
    expect(written[0].header).toMatchObject({ segment: 1000, checksumOffset: 16, headerBytes: v6 ? 86 : 66 })
    expect(onTheWire(written[0])).toEqual(frames)
    expect([rig.tx.packets, rig.tx.bytes]).toEqual([9, frames.reduce((sum, { length }) => sum + length, 0)])
    expect(rig.parts.counters[COUNTER.TX_DONE_PACKETS]).toBe(9)
  },
)

test('more than an IP packet holds goes as two', () => {
  rig = new Rig()
  const frames = row({ ...BASE, length: 1460 }, 60).map((segment) => frameOf(segment))
  const written = send(frames)
  expect(written).toHaveLength(2)
  expect(written.flatMap(onTheWire)).toEqual(frames)
})

const [first, second, third] = row(BASE, 3)
test.each<[string, Segment[], number]>([
  [
    'a shorter one is the last',
    [first, { ...second, length: 500 }, { ...third, sequence: second.sequence + 500 }],
    2,
  ],
  ['one with PSH is the last', [first, { ...second, flags: ACK | PSH }, third], 2],
  ['a first one with PSH stays alone', [{ ...first, flags: ACK | PSH }, second, third], 2],
  [
    'a longer one',
    [
      { ...first, length: 400 },
      { ...second, sequence: first.sequence + 400 },
    ],
    2,
  ],
  ['a gap', [first, third], 2],
  ['out of order', [second, first, third], 3],
  ['the same twice', [first, first], 2],
  ['FIN', [first, { ...second, flags: ACK | FIN }], 2],
  ['SYN', [{ ...first, flags: SYN }, second], 2],
  ['CWR', [first, { ...second, flags: ACK | CWR }], 2],
  ['no data', [first, { ...second, length: 0 }, second], 3],
  ['other options', [first, { ...second, tcpOptions: 4 }], 2],
  [
    'a VLAN tag',
    [
      { ...first, tag: 5 },
      { ...second, tag: 5 },
    ],
    2,
  ],
  [
    'options of IP',
    [
      { ...first, ipOptions: 1 },
      { ...second, ipOptions: 1 },
    ],
    2,
  ],
  ['an extension header of IPv6', row({ ...BASE, v6: true, extended: true }, 2), 2],
  ['identifications that do not count up', [first, { ...second, identification: 1234 }], 2],
  ['segments of an odd length', row({ ...BASE, length: 501 }, 5), 1],
  ['datagrams', row({ ...BASE, udp: true }, 5), 1],
  ['datagrams of IPv6', row({ ...BASE, udp: true, v6: true }, 5), 1],
  ['more datagrams than a kernel takes', row({ ...BASE, udp: true, length: 18 }, 100), 2],
  [
    'a shorter datagram is the last',
    [first, { ...second, length: 500 }, third].map((one) => ({ ...one, udp: true })),
    2,
  ],
  [
    'a datagram without data',
    [first, { ...second, length: 0 }, third].map((one) => ({ ...one, udp: true })),
    3,
  ],
  [
    'datagrams and segments with the same addresses and ports',
    [first, { ...first, udp: true }, second, { ...second, udp: true }],
    2,
  ],
  ['another flow', [first, { ...second, flow: 3 }], 2],
  ['flows in turn', [first, { ...first, flow: 3 }, second, { ...second, flow: 3 }], 2],
  [
    'more flows at once than are looked after',
    [...Array(34).keys()].map((i) => ({ ...row(BASE, 2)[Math.floor(i / 17)], flow: i % 17 })),
    34,
  ],
  ['IPv4 and IPv6 in turn', row(BASE, 2).flatMap((one) => [one, { ...one, v6: true }]), 2],
])('%s', (_, segments, writes) => {
  rig = new Rig()
  const frames = segments.map((segment) => frameOf(segment))
  const written = send(frames)
  expect(written).toHaveLength(writes)
  const order = (all: readonly Uint8Array[]): string[] =>
    all.map((frame) => Buffer.from(frame).toString('hex'))
  expect(order(written.flatMap(onTheWire)).sort()).toEqual(order(frames).sort())
})

test('a wrong checksum is nowhere covered up', () => {
  rig = new Rig()
  for (const [wrong, at] of [
    [0, 80],
    [1, 80],
    [0, 25],
    [1, 24],
    [1, 51],
  ] as const) {
    const frames = row(BASE, 2).map((segment) => frameOf(segment))
    frames[wrong][at] ^= 0x55
    const written = send(frames)
    expect(written.map(({ header }) => header)).toEqual([NO_HEADER, NO_HEADER])
    expect(written.map(({ frame }) => frame)).toEqual(frames)
  }
})

test('with offloads: open checksums stay open, good ones are believed, others are looked at', () => {
  rig = new Rig({ offloads: true })
  const { memory } = rig
  const { offloads } = memory
  if (offloads === null) throw new Error('no offloads')
  const segments = row(BASE, 3)
  const frames = segments.map((segment) => frameOf(segment))
  const ids = rig.packets(frames)
  // The first as the kernel leaves it, the second not even right.
  const open = frameOf(segments[0], true)
  memory.u8.set(open.subarray(34), memory.dataOffset(ids[0]) + 34)
  offloads.flags[ids[0]] = OffloadFlag.CHECKSUM_OPEN
  offloads.checksumStart[ids[0]] = 34
  offloads.checksumOffset[ids[0]] = 16
  memory.u8[memory.dataOffset(ids[1]) + 50] ^= 1
  offloads.flags[ids[1]] = OffloadFlag.CHECKSUM_GOOD
  expect(rig.tx.transmit(ids, 0, 3)).toBe(3)
  expect(rig.written).toHaveLength(1)
  expect(onTheWire(rig.written[0])).toEqual(frames)

  rig.written.length = 0
  const alone = rig.packets([open, frames[1]])
  offloads.flags[alone[0]] = OffloadFlag.CHECKSUM_OPEN
  offloads.checksumStart[alone[0]] = 34
  offloads.checksumOffset[alone[0]] = 16
  offloads.flags[alone[1]] = OffloadFlag.CHECKSUM_GOOD
  for (const id of alone) rig.tx.transmit(Int32Array.of(id), 0, 1)
  expect(rig.written.map(({ header }) => header)).toEqual([
    { ...NO_HEADER, flags: 1, checksumStart: 34, checksumOffset: 16 },
    { ...NO_HEADER, flags: 2 },
  ])
})

test('a kernel that refuses what is joined gets it one by one, from then on at once; nothing is lost', () => {
  rig = new Rig()
  let asked = 0
  rig.judge = ({ header }) => {
    if (header.gso === 0) return 0
    asked++
    return EINVAL
  }
  const segments = [...row(BASE, 3), { ...BASE, flow: 9 }]
  segments[2] = { ...segments[2], flags: ACK | PSH }
  const frames = segments.map((segment) => frameOf(segment))
  const hex = (all: readonly Uint8Array[]): string[] => all.map((frame) => Buffer.from(frame).toString('hex'))
  expect(hex(send(frames).flatMap(onTheWire)).sort()).toEqual(hex(frames).sort())
  expect(hex(send(frames).flatMap(onTheWire))).toEqual(hex(frames))
  expect(asked).toBe(1)
  expect(rig.parts.counters[COUNTER.TX_DONE_PACKETS]).toBe(8)
  expect(rig.parts.counters[COUNTER.TX_REFUSED]).toBe(0)
})

test('what an interface that is down refuses is counted, packet by packet', () => {
  rig = new Rig()
  rig.judge = () => EIO
  const frames = [...row(BASE, 3), { ...BASE, flow: 9 }].map((segment) => frameOf(segment))
  expect(send(frames)).toEqual([])
  expect(rig.tx.packets).toBe(4)
  expect(rig.parts.counters[COUNTER.TX_DONE_PACKETS]).toBe(0)
  expect(rig.parts.counters[COUNTER.TX_REFUSED]).toBe(4)
})

test('ids and lengths that are no packet’s are refused, and nothing is written', () => {
  rig = new Rig()
  const [id] = rig.packets([new Uint8Array(60)])
  expect(() => rig.tx.transmit(Int32Array.of(id, 512), 0, 2)).toThrow(/^transmit: 512 is no packet/)
  rig.memory.size[id] = 2000
  expect(() => rig.tx.transmit(Int32Array.of(id), 0, 1)).toThrow(/said to have 2000 bytes/)
  rig.memory.size[id] = 3
  expect([-1, 1, Number.NaN].map((from) => rig.tx.transmit(Int32Array.of(id), from, 1))).toEqual([0, 0, 0])
  expect(rig.written).toEqual([])
  expect(rig.tx.transmit(Int32Array.of(id), 0, 5)).toBe(1)
  expect(rig.written.map(({ frame }) => frame)).toEqual([new Uint8Array(17)])
})

test('whatever comes, in whatever order: each flow keeps its own, and every packet is what it was', () => {
  rig = new Rig()
  const segment = fc.record({
    udp: fc.boolean(),
    flow: fc.nat(11),
    v6: fc.boolean(),
    step: fc.constantFrom(0, 0, 0, 0, 1, -1),
    length: fc.constantFrom(100, 100, 100, 50, 0, 1400),
    flags: fc.constantFrom(ACK, ACK, ACK, ACK | PSH, ACK | FIN, SYN),
    spoil: fc.constantFrom(0, 0, 0, 0, 0, 1),
  })
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 200 }), (drawn) => {
      const next = new Map<string, number>()
      const frames = drawn.map(({ flow, v6, udp, step, length, flags, spoil }) => {
        const key = `${flow} ${v6} ${udp}`
        const sequence = (next.get(key) ?? 5) + step
        next.set(key, sequence + length)
        const frame = frameOf({
          flow,
          v6,
          udp,
          sequence,
          length,
          flags,
          identification: (sequence / 50) & 0xffff,
        })
        frame[frame.length - 1] ^= spoil
        return frame
      })
      const wire = send(frames).flatMap(onTheWire)
      const byFlow = (all: readonly Uint8Array[]): Map<string, string[]> => {
        const flows = new Map<string, string[]>()
        for (const frame of all) {
          const tcp = frame[12] === 0x86 ? 54 : 34
          const key = `${tcp} ${frame[tcp + 1]} ${frame[tcp === 54 ? 20 : 23]}`
          flows.set(key, [...(flows.get(key) ?? []), Buffer.from(frame).toString('hex')])
        }
        return flows
      }
      expect(Object.fromEntries(byFlow(wire))).toEqual(Object.fromEntries(byFlow(frames)))
    }),
    { numRuns: 60 },
  )
})

test('datagrams without a checksum, and those that a kernel before Linux 6.2 gets, go one by one', () => {
  rig = new Rig()
  const frames = row({ ...BASE, udp: true }, 3).map((segment) => frameOf(segment))
  for (const frame of frames) frame.fill(0, 40, 42)
  expect(send(frames).map(({ frame }) => frame)).toEqual(frames)
  rig.close()
  rig = new Rig({ joins: { tcp: true, udp: false } })
  expect(send(row({ ...BASE, udp: true }, 3).map((segment) => frameOf(segment)))).toHaveLength(3)
  expect(send(row(BASE, 3).map((segment) => frameOf(segment)))).toHaveLength(1)
})
