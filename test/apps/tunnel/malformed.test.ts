/** Whatever comes in: no exception, no buffer lost, one fate each, and nothing damaged goes through. */
import { COUNTERS } from '../../../src/apps/tunnel/fates.ts'
import type { TunnelFlags } from '../../../src/apps/tunnel/options.ts'
import { bothEnds, carry, type End, INNER, innerFrame, OUTER, random } from './rig.ts'

const KINDS: [string, 4 | 6, Partial<TunnelFlags>][] = [
  ['VXLAN over IPv4', 4, { encap: 'vxlan', vni: 42, udpChecksum: true }],
  ['VXLAN over IPv6', 6, { encap: 'vxlan', vni: 42 }],
  ['Geneve over IPv4', 4, { encap: 'geneve', vni: 42, udpChecksum: true }],
  ['Geneve over IPv6 in a VLAN', 6, { encap: 'geneve', vni: 42, vlan: 7 }],
  ['FOU over IPv4', 4, { encap: 'fou', port: 5555, port6: 5556, udpChecksum: true }],
  ['FOU over IPv6', 6, { encap: 'fou', port: 5555, port6: 5556 }],
]

const SEED = 20_231
const ROUNDS = 3000
const decapsulatedAt = COUNTERS.indexOf('decapsulated')
const INNER_FATES = COUNTERS.slice(0, decapsulatedAt)
const OUTER_FATES = COUNTERS.slice(decapsulatedAt, COUNTERS.indexOf('asked'))

const sum = (end: End, names: readonly string[]): number =>
  names.reduce((total, name) => total + end.counters[name], 0)

/** Frames of all sorts that come from the other end: encapsulated ones, questions and answers. */
function samples(ip: 4 | 6, flags: Partial<TunnelFlags>): { a: End; b: End; wire: Buffer[] } {
  const [a, b] = bothEnds(ip, flags)
  const toMac = a.job.innerMac
  const inner = ([4, 6] as const).flatMap((version) =>
    [0, 7, 300].map((payloadBytes) => innerFrame(version, { payloadBytes, toMac, trafficClass: 2 })),
  )
  const { wire } = carry(a, b, ...inner)
  return { a, b, wire }
}

describe.each(KINDS)('%s', (_, ip, flags) => {
  const { a, b, wire } = samples(ip, flags)
  const encapsulated = wire.slice(-6)
  const header = flags.vlan === undefined ? 14 : 18

  test('one bit that is another in what a checksum covers: nothing comes out', () => {
    const next = random(SEED)
    for (let round = 0; round < ROUNDS; round++) {
      const frame = Buffer.from(encapsulated[next(encapsulated.length)])
      // IPv4's header has a checksum; of IPv6's header, addresses and length are in that of UDP.
      const from = ip === 4 ? header : header + 8
      const bit = next((frame.length - from) * 8)
      frame[from + (bit >> 3)] ^= 1 << (bit & 7)
      const udp = header + (ip === 4 ? 20 : 40)
      const unchecked = ip === 4 && frame.readUInt16BE(udp + 6) === 0
      const out = b.receive(OUTER, frame)[INNER]
      if (out.length > 0 && !unchecked)
        throw new Error(`round ${round}: ${frame.toString('hex')} came through`)
    }
  })

  test('bytes of all values anywhere, frames of all lengths: each has one fate', () => {
    const next = random(SEED + 1)
    const before = sum(b, OUTER_FATES)
    for (let round = 0; round < ROUNDS; round++) {
      const frame = Buffer.from(wire[next(wire.length)])
      for (let change = next(4); change >= 0; change--) frame[next(Math.min(frame.length, 120))] = next(256)
      b.receive(OUTER, frame.subarray(0, next(3) === 0 ? 1 + next(frame.length) : frame.length))
      if (sum(b, OUTER_FATES) !== before + round + 1 || b.held > 0)
        throw new Error(`round ${round}: ${frame.toString('hex')} has no fate, or two`)
    }
    expect(b.counters).toMatchObject({ no_room_inner: 0, no_room_outer: 0 })
  })

  test('the same at the inner side', () => {
    const next = random(SEED + 2)
    const before = sum(a, INNER_FATES)
    const frames = [
      ...encapsulated,
      innerFrame(4, { vlan: 9 }),
      innerFrame(6),
      innerFrame(4, { payloadBytes: 1460 }),
    ]
    for (let round = 0; round < ROUNDS; round++) {
      const frame = Buffer.from(frames[next(frames.length)])
      if (next(2) === 0) frame.set(a.job.innerMac)
      for (let change = next(4); change > 0; change--) frame[next(Math.min(frame.length, 120))] = next(256)
      a.receive(INNER, frame.subarray(0, next(3) === 0 ? 1 + next(frame.length) : frame.length))
      if (sum(a, INNER_FATES) !== before + round + 1 || a.held > 0)
        throw new Error(`round ${round}: ${frame.toString('hex')} has no fate, or two`)
    }
  })
})
