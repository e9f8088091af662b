/** Two ends of a tunnel, back to back: what goes in comes out, and nothing else. */
import { innerMtu } from '../../../src/apps/tunnel/job.ts'
import type { TunnelFlags } from '../../../src/apps/tunnel/options.ts'
import { parseMac } from '../../../src/packet/mac.ts'
import { arpRequest } from '../../examples/frames.ts'
import { bothEnds, carry, End, INNER, innerFrame, OUTER, SIDES } from './rig.ts'

const VXLAN: Partial<TunnelFlags> = { encap: 'vxlan', vni: 42 }
const GENEVE: Partial<TunnelFlags> = { encap: 'geneve', vni: 0xabcdef }
const FOU: Partial<TunnelFlags> = { encap: 'fou', port: 5555, port6: 5556 }

const KINDS: [string, 4 | 6, Partial<TunnelFlags>][] = [
  ['VXLAN over IPv4', 4, VXLAN],
  ['VXLAN over IPv6', 6, VXLAN],
  ['VXLAN over IPv4, with checksums', 4, { ...VXLAN, udpChecksum: true }],
  ['VXLAN over IPv6, without checksums', 6, { ...VXLAN, udpChecksum: false }],
  ['VXLAN in a VLAN', 4, { ...VXLAN, vlan: 7 }],
  ['VXLAN over IPv6 in a VLAN', 6, { ...VXLAN, vlan: 7 }],
  ['Geneve over IPv4', 4, GENEVE],
  ['Geneve over IPv6', 6, GENEVE],
  ['FOU over IPv4', 4, FOU],
  ['FOU over IPv6 in a VLAN', 6, { ...FOU, vlan: 4094 }],
]

/** To this end of the inner side, without Ethernet; then from the other. */
const bytesOf = (frame: Uint8Array, flags: Partial<TunnelFlags>): string =>
  Buffer.from(flags.encap === 'fou' ? frame.subarray(12) : frame).toString('hex')

describe.each(KINDS)('%s', (_, ip, flags) => {
  const [a, b] = bothEnds(ip, flags)
  const frames = ([4, 6] as const).flatMap((inner) =>
    [0, 1, 2, 3, 18, 700, 1000].map((payloadBytes, i) =>
      innerFrame(inner, { payloadBytes, trafficClass: i * 4, sourcePort: 1000 + i, toMac: a.job.innerMac }),
    ),
  )

  test('frames of all sizes come out as they went in, once the other end has been found', () => {
    const { there, back } = carry(a, b, ...frames)
    expect(there.map((frame) => bytesOf(frame, flags))).toEqual(frames.map((frame) => bytesOf(frame, flags)))
    expect(back).toEqual([])
    expect(a.counted).toEqual({ encapsulated: frames.length, asked: 1, outer_noted: 1 })
    expect(b.counted).toEqual({ decapsulated: frames.length, outer_answered: 1 })
    // Those that need not wait are counted like those that had to.
    expect(carry(a, b, ...frames).there).toHaveLength(frames.length)
    expect(a.counted).toEqual({ encapsulated: 2 * frames.length, asked: 1, outer_noted: 1 })
    expect(b.counted).toEqual({ decapsulated: 2 * frames.length, outer_answered: 1 })
  })

  test('so do the largest, and one more byte is answered with how much fits', () => {
    const mtu = innerMtu(a.job, 1500)
    const payloadBytes = mtu - 28
    const fits = innerFrame(4, { payloadBytes, toMac: a.job.innerMac })
    const { there, wire } = carry(a, b, fits)
    expect(there.map((frame) => bytesOf(frame, flags))).toEqual([bytesOf(fits, flags)])
    expect(wire.map(({ length }) => length)).toEqual([1514 + (flags.vlan === undefined ? 0 : 4)])
    const large = innerFrame(4, { payloadBytes: payloadBytes + 1, toMac: a.job.innerMac })
    const { back } = carry(a, b, large)
    expect(back).toHaveLength(1)
    // ICMP 3/4, the next hop's MTU (RFC 1191), and what it is about.
    expect([...back[0].subarray(34, 36)]).toEqual([3, 4])
    expect(back[0].readUInt16BE(40)).toBe(mtu)
    expect(back[0].subarray(42, 62)).toEqual(Buffer.from(large.subarray(14, 34)))
    const large6 = innerFrame(6, { payloadBytes, toMac: a.job.innerMac })
    const answer6 = carry(a, b, large6).back
    expect([...answer6[0].subarray(54, 56)]).toEqual([2, 0])
    expect(answer6[0].readUInt32BE(58)).toBe(mtu)
    expect(a.counted).toMatchObject({ too_big: 2, told_too_big: 2 })
  })

  test('no buffer is lost', () => {
    expect([a.held, b.held]).toEqual([0, 0])
  })
})

test('frames that go the short way, in WebAssembly, are counted like the others', () => {
  const { a: local, b: remote } = SIDES[4]
  const a = new End({ ...VXLAN, local, remote }, 1500, true)
  const b = new End({ ...VXLAN, local: remote, remote: local }, 1500, true)
  // Those that wait for the next hop go the long way, and so does the one in the middle, which doesn't fit.
  const frames = [0, 0, 1450 - 28 + 1, 0, 0].map((payloadBytes) => innerFrame(4, { payloadBytes }))
  for (const round of [1, 2]) {
    expect(carry(a, b, ...frames).there).toHaveLength(4)
    expect(a.counted).toMatchObject({ encapsulated: 4 * round, too_big: round })
    expect(b.counted).toMatchObject({ decapsulated: 4 * round })
  }
})

test('IPv4 and IPv6 take another way where they have a port each; without one for IPv6 it stays here', () => {
  const [a, b] = bothEnds(4, { encap: 'fou', port: 5555 })
  const { there } = carry(
    a,
    b,
    innerFrame(6, { toMac: a.job.innerMac }),
    innerFrame(4, { toMac: a.job.innerMac }),
  )
  expect(there).toHaveLength(1)
  expect(a.counted).toMatchObject({ encapsulated: 1, inner_ignored: 1 })
})

describe('several networks', () => {
  const map = (remote: string): Partial<TunnelFlags> => ({
    map: [`vlan=10,vni=42,remote=${remote}`, `vlan=20,vni=43,remote=${remote}`, `vni=44,remote=${remote}`],
  })
  const { a: local, b: remote } = SIDES[4]
  const a = new End({ encap: 'vxlan', local, ...map(remote) })
  const b = new End({ encap: 'vxlan', local: remote, ...map(local) })

  test('a tag stays at this end and is there again at the other; others go as they are', () => {
    const frames = [10, 20, 30, undefined].map((vlan) => innerFrame(4, { vlan }))
    const { there, wire } = carry(a, b, ...frames)
    expect(there).toEqual(frames.map((frame) => Buffer.from(frame)))
    const inside = wire.filter((frame) => frame.length > 60)
    expect(inside.map((frame) => [frame.readUIntBE(46, 3), frame.length - 50])).toEqual([
      [42, 60],
      [43, 60],
      [44, 64],
      [44, 60],
    ])
  })

  test('what belongs to none is counted', () => {
    const one = new End({ encap: 'vxlan', local, map: [`vlan=10,vni=42,remote=${remote}`] })
    one.receive(INNER, innerFrame(4), innerFrame(4, { vlan: 11 }))
    expect(one.counted).toEqual({ no_network: 2 })
  })
})

describe('the next hop', () => {
  test('a gateway is asked, not the remote end behind it', () => {
    const end = new End({ ...VXLAN, local: '192.0.2.1/24', gateway: '192.0.2.254', remote: '198.51.100.7' })
    const [[request]] = end.receive(INNER, innerFrame(4))
    expect(request.subarray(38, 42)).toEqual(Buffer.from([192, 0, 2, 254]))
  })

  test('until one has answered, packets wait, but no more than a few; at the end they are given up', () => {
    const end = new End({ ...VXLAN, local: '192.0.2.1/24', remote: '192.0.2.9' })
    const sent = Array.from({ length: 60 }, () => end.receive(INNER, innerFrame(4))[OUTER])
    expect(sent.flat()).toHaveLength(1)
    expect(end.held).toBe(60)
    end.steps.quiet?.()
    expect(end.held).toBe(0)
    end.receive(INNER, innerFrame(4))
    expect(end.counted).toEqual({ asked: 1, unresolved: 61 })
  })

  test('its MAC address may change, if it tells everybody', () => {
    const [a, b] = bothEnds(4, VXLAN)
    carry(a, b, innerFrame(4))
    const fromMac = '52:54:00:00:00:99'
    const moved = arpRequest({ from: '192.0.2.2', to: '192.0.2.2', fromMac, toMac: 'ff:ff:ff:ff:ff:ff' })
    expect(a.receive(OUTER, moved)).toEqual([[], []])
    const [[frame]] = a.receive(INNER, innerFrame(4))
    expect(frame.subarray(0, 6)).toEqual(Buffer.from(parseMac(fromMac)))
  })
})
