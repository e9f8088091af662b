/** Filters, receive side scaling, VLANs and checksums on the way in. */
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { crc32 } from '../../../src/vnic/model/crc32.ts'
import { totalsOf } from '../../../src/vnic/model/totals.ts'
import { frameOf, Host, MAC, runningHost } from './host.ts'
import { sctp4, sctp6, tcp4, tcp6, udp4 } from './packets.ts'
import { rssHost, steer } from './queues.ts'

/** Published by Microsoft ("Verifying the RSS hash calculation"). */
const VECTORS_4: [
  source: string,
  port: number,
  destination: string,
  port: number,
  ip: number,
  tcp: number,
][] = [
  ['66.9.149.187', 2794, '161.142.100.80', 1766, 0x323e8fc2, 0x51ccc178],
  ['199.92.111.2', 14230, '65.69.140.83', 4739, 0xd718262a, 0xc626b0ea],
  ['24.19.198.95', 12898, '12.22.207.184', 38024, 0xd2d0a5de, 0x5c2b394a],
  ['38.27.205.30', 48228, '209.142.163.6', 2217, 0x82989176, 0xafc7327f],
  ['153.39.163.191', 44251, '202.188.127.2', 1303, 0x5d1809c5, 0x10e828a2],
]
const VECTORS_6: [
  source: string,
  port: number,
  destination: string,
  port: number,
  ip: number,
  tcp: number,
][] = [
  ['3ffe:2501:200:1fff::7', 2794, '3ffe:2501:200:3::1', 1766, 0x2cc18cd5, 0x40207d3d],
  ['3ffe:501:8::260:97ff:fe40:efab', 14230, 'ff02::1', 4739, 0x0f0c461c, 0xdde51bbf],
  ['3ffe:1900:4545:3:200:f8ff:fe21:67cf', 44251, 'fe80::200:f8ff:fe21:67cf', 38024, 0x4b61e985, 0x02d1feef],
]

const { RSS_IPV4, RSS_TCP_IPV4, RSS_IPV6, RSS_TCP_IPV6, RSS_UDP_IPV4 } = REG.MRQC.fields

describe('receive side scaling', () => {
  test.each(VECTORS_4)(
    "Microsoft's vector for TCP from %s:%i to %s:%i",
    (from, sport, to, dport, ip, tcp) => {
      const frame = tcp4(from, sport, to, dport)
      const full = steer(rssHost(RSS_IPV4.mask | RSS_TCP_IPV4.mask), frame)
      expect([full.hash, full.queue, full.word0 & 0xf]).toEqual([tcp, (tcp & 0x7f) % 4, 1])
      const addresses = steer(rssHost(RSS_IPV4.mask), frame)
      expect([addresses.hash, addresses.queue, addresses.word0 & 0xf]).toEqual([ip, (ip & 0x7f) % 4, 2])
    },
  )

  test.each(VECTORS_6)(
    "Microsoft's vector for TCP from %s port %i to %s port %i",
    (from, sport, to, dport, ip, tcp) => {
      const frame = tcp6(from, sport, to, dport)
      const full = steer(rssHost(RSS_IPV6.mask | RSS_TCP_IPV6.mask), frame)
      expect([full.hash, full.queue, full.word0 & 0xf]).toEqual([tcp, (tcp & 0x7f) % 4, 3])
      const addresses = steer(rssHost(RSS_IPV6.mask), frame)
      expect([addresses.hash, addresses.word0 & 0xf]).toEqual([ip, 5])
    },
  )

  test('UDP counts with its ports only when asked to, and what is not IP goes to queue 0', () => {
    const host = rssHost(RSS_IPV4.mask | RSS_TCP_IPV4.mask)
    const [a, b] = [udp4('10.0.0.1', 1, '10.0.0.2', 2), udp4('10.0.0.1', 3, '10.0.0.2', 4)]
    expect(steer(host, a).hash).toBe(steer(host, b).hash)
    host.write(REG.MRQC, 1 | RSS_IPV4.mask | RSS_UDP_IPV4.mask)
    const [first, second] = [steer(host, a), steer(host, b)]
    expect(first.hash).not.toBe(second.hash)
    expect(first.word0 & 0xf).toBe(7)
    expect(steer(host, frameOf(60))).toMatchObject({ queue: 0, hash: 0, word0: 0 })
  })

  test('a fragment has no ports', () => {
    const host = rssHost(RSS_IPV4.mask | RSS_TCP_IPV4.mask)
    const frame = tcp4('10.0.0.1', 1, '10.0.0.2', 2)
    frame[20] = 0x20 // more fragments
    expect(steer(host, frame).word0 & 0xf).toBe(2)
  })

  test('flows are spread over all queues, and each stays on one', () => {
    const host = rssHost(RSS_IPV4.mask | RSS_UDP_IPV4.mask)
    const seen = new Map<number, number>()
    for (let port = 0; port < 64; port++) {
      const frame = udp4('10.0.0.1', port, '10.0.0.2', 9)
      const { queue } = steer(host, frame)
      expect(steer(host, frame).queue).toBe(queue)
      seen.set(queue, (seen.get(queue) ?? 0) + 1)
    }
    expect([...seen.keys()].sort()).toEqual([0, 1, 2, 3])
    for (const count of seen.values()) expect(count).toBeGreaterThan(4)
  })

  test('frames for a queue that is off are dropped and counted, and hold up no others', () => {
    const host = rssHost(RSS_IPV4.mask | RSS_UDP_IPV4.mask)
    const frames = Array.from({ length: 64 }, (_, port) => udp4('10.0.0.1', port, '10.0.0.2', 9))
    const queues = frames.map((frame) => steer(host, frame).queue)
    const heads = (): number[] => [0, 1, 2, 3].map((queue) => host.read(REG.RDH, queue))
    const before = heads()
    host.write(REG.RXDCTL, 0, 3)
    host.wire.waiting.push(...frames)
    host.poll()
    const count = (queue: number): number => queues.filter((one) => one === queue).length
    expect(count(3)).toBeGreaterThan(4)
    expect(heads().map((head, queue) => head - before[queue])).toEqual([count(0), count(1), count(2), 0])
    expect(host.wire.delivered.slice(64)).toEqual(queues.map((queue) => queue !== 3))
    expect(host.read(REG.QPRDC)).toBe(count(3))
    expect(host.device.receive.buffered).toBe(0)
  })
})

describe('filters', () => {
  const OTHER = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x57)
  const BROADCAST = new Uint8Array(6).fill(0xff)
  const GROUP = Uint8Array.of(0x01, 0x00, 0x5e, 0x01, 0x02, 0x03)

  /** Which of: own, other, broadcast, multicast come through. */
  function accepted(set: (host: Host) => void): string {
    const host = new Host()
    host.initialise()
    set(host)
    host.startReceive()
    host.enableReceive()
    host.waitForLink()
    for (const to of [MAC, OTHER, BROADCAST, GROUP]) host.wire.waiting.push(frameOf(60, to))
    host.poll()
    const kept = host.wire.delivered.filter((taken) => !taken).length
    expect(totalsOf(host.device).dropped).toMatchObject({
      filtered: kept,
      not_listening: 0,
      no_descriptor: 0,
    })
    return host.wire.delivered.map((taken, i) => (taken ? 'OobmX'[i] : '-')).join('')
  }
  const { UPE, MPE, BAM } = REG.FCTRL.fields

  test('by default only frames for the own address', () => {
    expect(accepted(() => undefined)).toBe('O---')
  })
  test('promiscuous, broadcast and all-multicast modes', () => {
    expect(accepted((host) => host.write(REG.FCTRL, BAM.mask))).toBe('O-b-')
    expect(accepted((host) => host.write(REG.FCTRL, UPE.mask))).toBe('Oo--')
    expect(accepted((host) => host.write(REG.FCTRL, MPE.mask))).toBe('O--m')
    expect(accepted((host) => host.acceptAll())).toBe('Oobm')
  })
  test('further addresses, and the first one taken away', () => {
    expect(
      accepted((host) => {
        host.write(REG.RAL, 0x12005452, 127)
        host.write(REG.RAH, 0x80005734, 127)
        host.write(REG.RAH, 0)
      }),
    ).toBe('-o--')
  })
  test.each([0, 1, 2, 3])('the multicast table with offset %i', (offset) => {
    // Bits 47:36, 46:35, 45:34, 43:32 of the address, least significant byte first on the wire.
    const vector = ((GROUP[4] | (GROUP[5] << 8)) >> [4, 3, 2, 0][offset]) & 0xfff
    const set = (host: Host, bit: number): void => {
      host.write(REG.MCSTCTRL, offset | REG.MCSTCTRL.fields.MFE.mask)
      host.write(REG.MTA, 1 << (bit & 31), bit >> 5)
    }
    expect(accepted((host) => set(host, vector))).toBe('O--m')
    expect(accepted((host) => set(host, vector ^ 1))).toBe('O---')
  })

  test.each([
    ['', false, false],
    [', switched on last', false, true],
    [', in bursts', true, false],
    [', in bursts, switched on last', true, true],
  ])('the VLAN filter lets its members and untagged frames through%s', (_name, fast, last) => {
    const host = new Host({ fast })
    const filter = (): void => {
      host.modify(REG.VLNCTRL, REG.VLNCTRL.fields.VFE.mask)
      host.write(REG.VFTA, 1 << (42 & 31), 42 >> 5)
    }
    host.initialise()
    host.acceptAll()
    if (!last) filter()
    host.startReceive()
    host.enableReceive()
    host.waitForLink()
    if (last) filter()
    for (const id of [42, 43]) {
      const frame = frameOf(64)
      frame.set([0x81, 0x00, 0xe0, id], 12)
      host.wire.waiting.push(frame)
    }
    host.wire.waiting.push(frameOf(60))
    host.poll()
    expect(host.wire.delivered).toEqual([true, false, true])
    expect(totalsOf(host.device).dropped['filtered']).toBe(1)
  })
})

describe('VLAN tags', () => {
  const tagged = (): Uint8Array => {
    const frame = frameOf(100)
    frame.set([0x81, 0x00, 0xa0, 0x2a], 12)
    return frame
  }

  test('stay in the frame unless the queue strips them', () => {
    const host = runningHost()
    host.wire.waiting.push(tagged())
    host.poll()
    expect(host.received(0).data).toEqual(tagged())
    expect(host.received(0).status & 8).toBe(0)
  })

  test('go into the descriptor with RXDCTL.VME', () => {
    const host = new Host()
    host.initialise()
    host.acceptAll()
    host.startReceive(64, { extra: REG.RXDCTL.fields.VME.mask })
    host.enableReceive()
    host.waitForLink()
    host.wire.waiting.push(tagged(), frameOf(60))
    host.poll()
    const { data, words, status } = host.received(0)
    const frame = tagged()
    expect(data).toEqual(Uint8Array.from([...frame.slice(0, 12), ...frame.slice(16)]))
    expect([status & 8, words[3] >>> 16]).toEqual([8, 0xa02a])
    expect(host.received(1).status & 8).toBe(0)
    // The MAC counts the frame as it was on the wire.
    expect([host.read(REG.GORCL), host.read(REG.PRC127)]).toEqual([104 + 64, 1])
  })
})

describe('checksums', () => {
  const [IPCS, L4CS, UDPCS] = [1 << 6, 1 << 5, 1 << 4]
  const [IPE, L4E] = [(1 << 31) >>> 0, 1 << 30]

  function statusOf(frame: Uint8Array): { status: number; type: number } {
    const host = runningHost()
    host.wire.waiting.push(frame)
    host.poll()
    const { status, words } = host.received(0)
    return { status: (status & ~3) >>> 0, type: words[0] }
  }

  test('good ones are reported as checked', () => {
    expect(statusOf(tcp4('10.0.0.1', 1, '10.0.0.2', 2))).toEqual({ status: IPCS | L4CS, type: 0x110 })
    expect(statusOf(udp4('10.0.0.1', 1, '10.0.0.2', 2))).toEqual({ status: IPCS | L4CS | UDPCS, type: 0x210 })
    expect(statusOf(tcp6('fe80::1', 1, 'fe80::2', 2))).toEqual({ status: L4CS, type: 0x140 })
    expect(statusOf(sctp4())).toEqual({ status: IPCS | L4CS, type: 0x410 })
    expect(statusOf(sctp6())).toEqual({ status: L4CS, type: 0x440 })
    expect(statusOf(frameOf(60))).toEqual({ status: 0, type: 0 })
  })

  test('bad ones as bad', () => {
    const badIp = tcp4('10.0.0.1', 1, '10.0.0.2', 2)
    badIp[24] ^= 1
    expect(statusOf(badIp).status).toBe((IPCS | IPE) >>> 0)
    const badTcp = tcp4('10.0.0.1', 1, '10.0.0.2', 2)
    badTcp[60] ^= 1
    expect(statusOf(badTcp).status).toBe(IPCS | L4CS | L4E)
    for (const at of [34, 44, 60]) {
      const badSctp = sctp4()
      badSctp[at] ^= 0x80
      expect(statusOf(badSctp).status).toBe(IPCS | L4CS | L4E)
    }
  })

  test('UDP without one is not checked', () => {
    const frame = udp4('10.0.0.1', 1, '10.0.0.2', 2)
    frame[40] = 0
    frame[41] = 0
    expect(statusOf(frame).status).toBe(IPCS)
  })

  test('headers that lie about their length are left alone', () => {
    const frame = tcp4('10.0.0.1', 1, '10.0.0.2', 2)
    frame[16] = 0xff
    expect(statusOf(frame)).toEqual({ status: 0, type: 0 })
    const short = tcp4('10.0.0.1', 1, '10.0.0.2', 2)
    short[14] = 0x41
    expect(statusOf(short)).toEqual({ status: 0, type: 0 })
  })
})

test('the FCS stays if it is not to be stripped', () => {
  const host = new Host()
  host.initialise()
  host.acceptAll()
  host.modify(REG.HLREG0, 0, REG.HLREG0.fields.RXCRCSTRP.mask)
  host.modify(REG.RDRXCTL, 0, REG.RDRXCTL.fields.CRCSTRIP.mask)
  host.startReceive()
  host.enableReceive()
  host.waitForLink()
  const frame = frameOf(77)
  host.wire.waiting.push(frame)
  host.poll()
  const { data, length } = host.received(0)
  expect(length).toBe(81)
  expect(data.slice(0, 77)).toEqual(frame)
  // The CRC of a frame with its FCS is a constant (IEEE 802.3 §3.2.9).
  expect(crc32(data, 0, 81)).toBe(0x2144df1c)
  expect(host.read(REG.GORCL)).toBe(81)
  // The FCS goes to the queue as well.
  expect([host.read(REG.RXDGBCL), host.read(REG.QBRC_L)]).toEqual([81, 81])
})
