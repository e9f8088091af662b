/** Each way in which a packet of the outer side can be wrong, and its counter; congestion marks; what else a host answers. */
import { ECN_AFTER_TUNNEL } from '../../../src/packet/ecn.ts'
import { EthernetFrame } from '../../../src/packet/ethernet.ts'
import { IcmpMessage } from '../../../src/packet/icmp.ts'
import { IpProtocol, Ipv4Packet } from '../../../src/packet/ipv4.ts'
import { Ipv6Packet } from '../../../src/packet/ipv6.ts'
import { UdpDatagram } from '../../../src/packet/udp.ts'
import { arpReply, arpRequest, describeFrame, ping } from '../../examples/frames.ts'
import type { TunnelFlags } from '../../../src/apps/tunnel/options.ts'
import { bothEnds, carry, End, INNER, innerFrame, OUTER, SIDES } from './rig.ts'

const VXLAN: Partial<TunnelFlags> = { encap: 'vxlan', vni: 42 }
const GENEVE: Partial<TunnelFlags> = { encap: 'geneve', vni: 42 }
const FOU: Partial<TunnelFlags> = { encap: 'fou', port: 5555 }

/** An encapsulated frame on its way to b; b knows everybody. */
function onTheWay(ip: 4 | 6, flags: Partial<TunnelFlags>, inner = {}): { b: End; frame: Buffer } {
  const [a, b] = bothEnds(ip, flags)
  const { wire } = carry(a, b, innerFrame(4, { toMac: a.job.innerMac, ...inner }))
  return { b, frame: wire[wire.length - 1] }
}

/** Sets bytes of the IPv4 header at 14, and mends its checksum. */
function mended(frame: Buffer, change: (frame: Buffer) => void): Buffer {
  change(frame)
  const ip = new Ipv4Packet()
  frame.writeUInt16BE(0, 24)
  if (ip.wrap(frame, 14)) ip.fillChecksum()
  return frame
}

const UDP = 34
const TUNNEL = 42

test.each<[string, Partial<TunnelFlags>, (frame: Buffer) => unknown]>([
  ['other_host', VXLAN, (frame) => void (frame[5] ^= 1)],
  ['other_host', VXLAN, (frame) => mended(frame, (f) => (f[33] = 77))],
  ['other_host', { ...VXLAN, vlan: 7 }, (frame) => void (frame[15] = 8)],
  ['other_protocol', VXLAN, (frame) => void frame.writeUInt16BE(0x88cc, 12)],
  ['other_protocol', VXLAN, (frame) => mended(frame, (f) => (f[23] = IpProtocol.TCP))],
  ['other_protocol', VXLAN, (frame) => void frame.writeUInt16BE(8472, UDP + 2)],
  ['other_protocol', VXLAN, (frame) => frame.subarray(0, 13)],
  ['bad_ip', VXLAN, (frame) => void (frame[22] ^= 1)],
  ['bad_ip', VXLAN, (frame) => mended(frame, (f) => (f[14] = 0x55))],
  ['bad_ip', VXLAN, (frame) => void (frame[14] = 0x44)],
  ['bad_ip', VXLAN, (frame) => frame.subarray(0, frame.length - 1)],
  ['fragment', VXLAN, (frame) => mended(frame, (f) => f.writeUInt16BE(0x2000, 20))],
  ['fragment', VXLAN, (frame) => mended(frame, (f) => f.writeUInt16BE(0x0007, 20))],
  ['bad_udp', VXLAN, (frame) => void frame.writeUInt16BE(7, UDP + 4)],
  ['bad_udp', VXLAN, (frame) => void frame.writeUInt16BE(frame.length - UDP + 1, UDP + 4)],
  ['bad_checksum', VXLAN, (frame) => void frame.writeUInt16BE(0x1234, UDP + 6)],
  ['bad_header', VXLAN, (frame) => void (frame[TUNNEL] = 0xf7)],
  ['bad_header', VXLAN, (frame) => void frame.writeUInt16BE(8 + 7, UDP + 4)],
  ['bad_header', GENEVE, (frame) => void (frame[TUNNEL] = 0x40)],
  ['bad_header', GENEVE, (frame) => void (frame[TUNNEL] = 0x3f)],
  ['bad_header', GENEVE, (frame) => void (frame[TUNNEL + 1] = 0x80)],
  ['bad_header', GENEVE, (frame) => void frame.writeUInt16BE(0x0800, TUNNEL + 2)],
  ['critical_option', GENEVE, (frame) => void (frame[TUNNEL + 1] = 0x40)],
  ['bad_header', FOU, (frame) => void (frame[TUNNEL] = 0x65)],
  ['unknown_network', VXLAN, (frame) => void (frame[TUNNEL + 6] = 43)],
  ['unknown_remote', VXLAN, (frame) => mended(frame, (f) => (f[29] = 77))],
  ['unknown_remote', FOU, (frame) => mended(frame, (f) => (f[29] = 77))],
  ['bad_payload', VXLAN, (frame) => void frame.writeUInt16BE(8 + 8 + 13, UDP + 4)],
  ['bad_payload', FOU, (frame) => void frame.writeUInt16BE(8 + 20, UDP + 4)],
])('%s', (cause, flags, change) => {
  const { b, frame } = onTheWay(4, flags)
  const before = b.counters
  const made = change(frame)
  expect(b.receive(OUTER, made instanceof Buffer ? made : frame)).toEqual([[], []])
  expect(b.counters).toEqual({ ...before, [cause]: before[cause] + 1 })
  expect(b.held).toBe(0)
})

test('Geneve options that may be ignored are', () => {
  const { b, frame } = onTheWay(4, GENEVE)
  const inner = Buffer.from(frame.subarray(TUNNEL + 8))
  const option = Buffer.from([0x01, 0x02, 0x03, 0x01, 1, 2, 3, 4])
  const longer = Buffer.concat([frame.subarray(0, TUNNEL + 8), option, inner])
  longer[TUNNEL] = 2
  longer.writeUInt16BE(longer.length - UDP, UDP + 4)
  mended(longer, (f) => f.writeUInt16BE(longer.length - 14, 16))
  expect(b.receive(OUTER, longer)[INNER]).toEqual([inner])
})

describe('over IPv6', () => {
  test('without a checksum: only if that was agreed', () => {
    for (const [there, decapsulated] of [
      [true, 0],
      [false, 1],
    ] as const) {
      const [a] = bothEnds(6, { ...VXLAN, udpChecksum: false })
      const b = new End({ ...VXLAN, udpChecksum: there, local: SIDES[6].b, remote: SIDES[6].a })
      carry(a, b, innerFrame(6))
      expect([b.counters['decapsulated'], b.counters['no_checksum']]).toEqual([
        decapsulated,
        1 - decapsulated,
      ])
    }
  })

  test('fragments are counted', () => {
    const { b, frame } = onTheWay(6, VXLAN)
    frame[20] = 44
    b.receive(OUTER, frame)
    expect(b.counters['fragment']).toBe(1)
  })
})

describe('congestion marks (RFC 6040)', () => {
  const MARKS = [0, 1, 2, 3]

  test('the table', () => {
    // Rows: inner Not-ECT, ECT(1), ECT(0), CE; columns: outer, likewise. 4: dropped.
    expect([...ECN_AFTER_TUNNEL]).toEqual([0, 0, 0, 4, 1, 1, 1, 3, 2, 1, 2, 3, 3, 3, 3, 3])
  })

  test.each([
    [4, 4, VXLAN],
    [4, 6, VXLAN],
    [6, 4, GENEVE],
    [6, 6, VXLAN],
    [4, 4, FOU],
  ] as const)('outer IPv%d, inner IPv%d', (outer, inner, flags) => {
    for (const innerMark of MARKS)
      for (const outerMark of MARKS) {
        const [a, b] = bothEnds(outer, { ...flags, udpChecksum: false })
        const sent = innerFrame(inner, { trafficClass: (5 << 2) | innerMark, toMac: a.job.innerMac })
        const { wire } = carry(a, b, sent)
        const frame = wire[wire.length - 1]
        const ip = outer === 4 ? new Ipv4Packet() : new Ipv6Packet()
        ip.wrap(frame, 14)
        // On the way in the mark is copied, and DSCP isn't.
        expect(ip.trafficClass).toBe(innerMark)
        ip.trafficClass = outerMark
        if (ip instanceof Ipv4Packet) ip.fillChecksum()
        const [out] = b.receive(OUTER, frame)[INNER]
        const expected = ECN_AFTER_TUNNEL[(innerMark << 2) | outerMark]
        if (expected === 4) {
          expect(b.counters['congested']).toBe(1)
          expect(out).toBeUndefined()
          continue
        }
        const carried = inner === 4 ? new Ipv4Packet() : new Ipv6Packet()
        carried.wrap(out, 14)
        expect(carried.trafficClass).toBe((5 << 2) | expected)
        if (carried instanceof Ipv4Packet) expect(carried.checksumOk).toBe(true)
      }
  })

  test('--dscp', () => {
    for (const [dscp, expected] of [
      [46, (46 << 2) | 2],
      ['inherit', (5 << 2) | 2],
    ] as const) {
      const [a, b] = bothEnds(4, { ...VXLAN, dscp })
      const { wire } = carry(a, b, innerFrame(4, { trafficClass: (5 << 2) | 2 }))
      const ip = new Ipv4Packet()
      ip.wrap(wire[wire.length - 1], 14)
      expect([ip.trafficClass, ip.checksumOk, ip.timeToLive, ip.dontFragment]).toEqual([
        expected,
        true,
        64,
        true,
      ])
    }
  })
})

test('source ports: 49152 or more, one per flow, several flows on several ports', () => {
  const [a, b] = bothEnds(4, VXLAN)
  const ports = [1, 1, 2, 3, 4, 5, 6, 7].map((sourcePort) => {
    const { wire } = carry(a, b, innerFrame(4, { sourcePort }))
    return wire[wire.length - 1].readUInt16BE(UDP)
  })
  expect(ports[0]).toBe(ports[1])
  expect(new Set(ports).size).toBe(7)
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(49_152)
})

describe('a path that carries less', () => {
  /** What a router says about `frame`: fragmentation needed, at most `mtu` bytes. */
  function needed(end: End, frame: Buffer, mtu: number): Buffer {
    const answer = Buffer.alloc(14 + 20 + 8 + 28)
    const header = new EthernetFrame()
    header.wrap(answer)
    header.setDestination(end.job.mac)
    header.type = 0x0800
    const ip = new Ipv4Packet()
    ip.create(answer, 14, answer.length - 14)
    ip.protocol = IpProtocol.ICMP
    ip.source = 0xc0000263 | 0
    ip.destination = 0xc0000201 | 0
    ip.fillChecksum()
    const icmp = new IcmpMessage()
    icmp.create(answer, ip.payloadOffset, ip.payloadLength)
    icmp.type = 3
    icmp.code = 4
    icmp.sequence = mtu
    frame.copy(answer, icmp.payloadOffset, 14, 14 + 28)
    icmp.fillChecksum()
    return answer
  }

  test('is learned from routers, and told to the inner side', () => {
    const [a, b] = bothEnds(4, VXLAN)
    const large = innerFrame(4, { payloadBytes: 1400 })
    const { wire } = carry(a, b, large)
    a.receive(OUTER, needed(a, wire[wire.length - 1], 1400))
    expect(a.counters['outer_noted']).toBe(2)
    const [out, [answer]] = a.receive(INNER, large)
    expect(out).toEqual([])
    expect(answer.readUInt16BE(40)).toBe(1350)
  })

  test('not by a message about somebody else’s packet, nor down to nothing', () => {
    const [a, b] = bothEnds(4, VXLAN)
    const { wire } = carry(a, b, innerFrame(4))
    const theirs = Buffer.from(wire[wire.length - 1])
    theirs[26] ^= 1
    a.receive(OUTER, needed(a, theirs, 600))
    expect(a.receive(INNER, innerFrame(4, { payloadBytes: 1400 }))[OUTER]).toHaveLength(1)
    a.receive(OUTER, needed(a, wire[wire.length - 1], 68))
    const [, [answer]] = a.receive(INNER, innerFrame(4, { payloadBytes: 1400 }))
    expect(answer.readUInt16BE(40)).toBe(502)
  })
})

describe('the host that has the outer address', () => {
  const ends = {
    from: '192.0.2.77',
    to: '192.0.2.1',
    fromMac: '52:54:00:00:00:77',
    toMac: '02:00:c0:00:02:01',
  }

  test('answers ARP and ping, from its MAC address', () => {
    const [a] = bothEnds(4, VXLAN)
    const [[reply]] = a.receive(OUTER, arpRequest(ends))
    expect(reply).toEqual(Buffer.from(arpReply(arpRequest(ends), ends.toMac)))
    const [[echo]] = a.receive(OUTER, ping(ends))
    expect(describeFrame(echo)).toBe(
      '02:00:c0:00:02:01 > 52:54:00:00:00:77 192.0.2.1 > 192.0.2.77 ttl 64 icmp 0/0',
    )
    expect(a.receive(OUTER, arpRequest({ ...ends, to: '192.0.2.5' }))).toEqual([[], []])
    expect(a.counted).toEqual({ outer_answered: 2, other_host: 1 })
  })

  test('has the MAC address that it is given', () => {
    const [a] = bothEnds(4, { ...VXLAN, mac: Uint8Array.of(0x52, 0x54, 0, 1, 2, 3) })
    expect(a.receive(OUTER, arpRequest(ends))[OUTER][0].subarray(6, 12).toString('hex')).toBe('525400010203')
  })
})

test('what finds no room in a ring beside a packet is counted, by side', () => {
  const [a, b] = bothEnds(4, FOU)
  const { wire } = carry(a, b, innerFrame(4, { toMac: a.job.innerMac }))
  const before = { a: a.counters, b: b.counters }
  const asking = { from: '192.0.2.77', to: '192.0.2.1', fromMac: '52:54:00:00:00:77' }
  const question = arpRequest({ ...asking, toMac: 'ff:ff:ff:ff:ff:ff' })
  for (const port of [...a.ports, ...b.ports]) port.roomPerStep = 1

  a.ports[OUTER].incoming.push(question)
  const [out] = a.receive(INNER, innerFrame(4, { toMac: a.job.innerMac }))
  expect(out).toHaveLength(1)
  expect(a.counters).toEqual({
    ...before.a,
    outer_answered: 1,
    encapsulated: before.a['encapsulated'] + 1,
    no_room_outer: 1,
  })

  b.ports[OUTER].incoming.push(wire[wire.length - 1])
  const host = { from: '10.0.0.1', to: '10.0.0.2', fromMac: '52:54:00:00:00:01', toMac: 'ff:ff:ff:ff:ff:ff' }
  const [, inside] = b.receive(INNER, arpRequest(host))
  expect(inside).toHaveLength(1)
  expect(b.counters).toEqual({
    ...before.b,
    inner_answered: 1,
    decapsulated: before.b['decapsulated'] + 1,
    no_room_inner: 1,
  })
  expect([a.held, b.held]).toEqual([0, 0])
})

describe('fou: this end is everybody behind it', () => {
  const [a, b] = bothEnds(4, FOU)
  const host = { from: '10.0.0.1', to: '10.0.0.2', fromMac: '52:54:00:00:00:01', toMac: 'ff:ff:ff:ff:ff:ff' }

  test('it answers ARP for all but the host’s own address', () => {
    const [, [reply]] = b.receive(INNER, arpRequest(host))
    expect(describeFrame(reply)).toBe(
      '02:01:c0:00:02:02 > 52:54:00:00:00:01 10.0.0.2 (02:01:c0:00:02:02) tells 10.0.0.1 (52:54:00:00:00:01)',
    )
    expect(b.receive(INNER, arpRequest({ ...host, to: host.from }))).toEqual([[], []])
    expect(b.receive(INNER, arpRequest({ ...host, from: '0.0.0.0' }))).toEqual([[], []])
    expect(b.counted).toMatchObject({ inner_answered: 1, inner_ignored: 2 })
  })

  test('what comes out is for the host that has asked', () => {
    const { there } = carry(a, b, innerFrame(4, { toMac: a.job.innerMac }))
    expect(there[0].subarray(0, 14).toString('hex')).toBe('525400000001' + '0201c0000202' + '0800')
  })

  test('padding of short frames stays here', () => {
    const padded = Buffer.alloc(60, 0xee)
    padded.set(innerFrame(4, { payloadBytes: 1, toMac: a.job.innerMac }))
    const { wire } = carry(a, b, padded)
    expect(wire[wire.length - 1]).toHaveLength(14 + 28 + 29)
    const udp = new UdpDatagram()
    expect(udp.wrap(wire[wire.length - 1], UDP)).toBe(true)
  })

  test('broadcasts and frames for others are not carried', () => {
    const before = a.counters['inner_ignored']
    a.receive(INNER, innerFrame(4), innerFrame(4, { toMac: new Uint8Array(6).fill(0xff) }))
    expect(a.counters['inner_ignored']).toBe(before + 2)
  })
})
