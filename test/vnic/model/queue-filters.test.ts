/** Filters that choose the receive queue: EtherType, SYN and 5-tuple (82599 §7.1.2.3, §7.1.2.5, §7.1.2.6). */
import { put } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { frameOf, type Host } from './host.ts'
import { internetChecksum, ipv4, tcp4, tcp6, udp4 } from './packets.ts'
import { queuesHost, rssHost, steer } from './queues.ts'

const { RSS_IPV4, RSS_TCP_IPV4 } = REG.MRQC.fields
const ETQF = REG.ETQF.fields
const ETQS = REG.ETQS.fields
const FTQF = REG.FTQF.fields
const SYNQF = REG.SYNQF.fields

/** The type of frameOf(). */
const LOCAL_EXPERIMENT = 0x88b5
const IPV4 = 0x0800
const [TCP, UDP, SCTP, OTHER] = [0, 1, 2, 3]

function etherType(host: Host, index: number, type: number, queue: number | null, etqf = 0): void {
  host.write(REG.ETQF, ETQF.FILTER_ENABLE.mask | etqf | type, index)
  host.write(REG.ETQS, queue === null ? 0 : ETQS.QUEUE_ENABLE.mask | put(ETQS.RX_QUEUE, queue), index)
}

function syn(host: Host, queue: number, first = false): void {
  host.write(
    REG.SYNQF,
    SYNQF.QUEUE_ENABLE.mask | put(SYNQF.RX_QUEUE, queue) | (first ? SYNQF.SYNQFP.mask : 0),
  )
}

interface Tuple {
  readonly from?: string
  readonly to?: string
  readonly sport?: number
  readonly dport?: number
  readonly protocol?: number
  readonly priority?: number
}

/** Addresses and ports stand in the registers as on the wire, the first byte lowest (82599 §8.2.3.7.16 to 18). */
function tuple(host: Host, index: number, queue: number, filter: Tuple): void {
  const { from, to, sport, dport, protocol, priority = 1 } = filter
  const address = (text = '0.0.0.0'): number => Buffer.from(ipv4(text)).readUInt32LE()
  const port = (value = 0): number => (value >> 8) | ((value & 0xff) << 8)
  host.write(REG.SAQF, address(from), index)
  host.write(REG.DAQF, address(to), index)
  host.write(REG.SDPQF, (port(sport) | (port(dport) << 16)) >>> 0, index)
  const masks = [from, to, sport, dport, protocol]
    .map((field, bit) => (field === undefined ? 1 << (25 + bit) : 0))
    .reduce((all, one) => all | one)
  host.write(
    REG.FTQF,
    FTQF.QUEUE_ENABLE.mask | FTQF.POOL_MASK.mask | masks | put(FTQF.PRIORITY, priority) | (protocol ?? 0),
    index,
  )
  host.write(REG.L34TIMIR, 0x80000 | put(REG.L34TIMIR.fields.RX_QUEUE, queue), index)
}

function tagged(frame: Uint8Array, priority: number): Uint8Array {
  return Uint8Array.from([...frame.slice(0, 12), 0x81, 0x00, priority << 5, 7, ...frame.slice(12)])
}

/** SYN in place of PSH and ACK; the checksum is no longer right, which no filter asks for. */
function withSyn(frame: Uint8Array, flags = 0x02, l4 = 34): Uint8Array {
  frame[l4 + 13] = flags
  return frame
}

/** Changes protocol and fragment offset of an IPv4 packet. */
function altered(frame: Uint8Array, protocol: number, fragment = 0): Uint8Array {
  frame[23] = protocol
  frame[20] = fragment
  frame.set([0, 0], 24)
  const checksum = internetChecksum([...frame.slice(14, 34)])
  frame.set([checksum >> 8, checksum & 0xff], 24)
  return frame
}

const packet = (): Uint8Array => tcp4('10.0.0.1', 1111, '10.0.0.2', 80)

describe.each([
  ['the long way', false],
  ['in bursts, and a card that does not look', true],
])('EtherType filters, %s', (_name, fast) => {
  test('choose the queue; the descriptor has the index of the filter', () => {
    const host = queuesHost({ fast })
    expect(steer(host, frameOf(60)).queue).toBe(0)
    etherType(host, 5, LOCAL_EXPERIMENT, 3)
    expect(steer(host, frameOf(60))).toMatchObject({ queue: 3, hash: 0, word0: 0x8050 })
    const other = frameOf(60)
    other[13]++
    expect(steer(host, other)).toMatchObject({ queue: 0, word0: 0 })
  })

  test('without ETQS.QUEUE_ENABLE only the descriptor tells', () => {
    const host = queuesHost({ fast })
    etherType(host, 3, LOCAL_EXPERIMENT, null)
    expect(steer(host, frameOf(60))).toMatchObject({ queue: 0, word0: 0x8030 })
  })

  test('that are switched off choose nothing', () => {
    const host = queuesHost({ fast })
    etherType(host, 0, LOCAL_EXPERIMENT, 2)
    host.write(REG.ETQF, LOCAL_EXPERIMENT, 0)
    expect(steer(host, frameOf(60))).toMatchObject({ queue: 0, word0: 0 })
  })

  test('look behind a VLAN tag, and with UP_EN at its priority', () => {
    const host = queuesHost({ fast })
    etherType(host, 0, LOCAL_EXPERIMENT, 1, ETQF.UP_EN.mask | put(ETQF.UP, 5))
    etherType(host, 1, LOCAL_EXPERIMENT + 1, 2)
    expect(steer(host, tagged(frameOf(60), 5)).queue).toBe(1)
    expect(steer(host, tagged(frameOf(60), 4)).queue).toBe(0)
    expect(steer(host, frameOf(60)).queue).toBe(0)
    const other = frameOf(60)
    other[13]++
    expect(steer(host, tagged(other, 0)).queue).toBe(2)
  })
})

describe('the SYN filter', () => {
  test('takes TCP with SYN, of IPv4 and IPv6, and nothing else', () => {
    const host = queuesHost()
    syn(host, 2)
    expect(steer(host, withSyn(packet()))).toMatchObject({ queue: 2, word0: 0x110 })
    expect(steer(host, withSyn(packet(), 0x12)).queue).toBe(2)
    expect(steer(host, withSyn(tcp6('fe80::1', 1, 'fe80::2', 2), 0x02, 54)).queue).toBe(2)
    expect(steer(host, packet()).queue).toBe(0)
    const datagram = udp4('10.0.0.1', 1, '10.0.0.2', 2)
    datagram[34 + 13] = 0x02
    expect(steer(host, datagram).queue).toBe(0)
    host.write(REG.SYNQF, put(SYNQF.RX_QUEUE, 2))
    expect(steer(host, withSyn(packet())).queue).toBe(0)
  })
})

describe('5-tuple filters', () => {
  const ALL = { from: '10.0.0.1', to: '10.0.0.2', sport: 1111, dport: 80, protocol: TCP }

  test('match when every field does', () => {
    const host = queuesHost()
    tuple(host, 127, 3, ALL)
    expect(steer(host, packet())).toMatchObject({ queue: 3, word0: 0x110 })
    expect(steer(host, tagged(packet(), 0)).queue).toBe(3)
    for (const other of [
      tcp4('10.0.0.3', 1111, '10.0.0.2', 80),
      tcp4('10.0.0.1', 1111, '10.0.0.3', 80),
      tcp4('10.0.0.1', 1112, '10.0.0.2', 80),
      tcp4('10.0.0.1', 1111, '10.0.0.2', 81),
      tcp4('10.0.0.2', 80, '10.0.0.1', 1111),
      udp4('10.0.0.1', 1111, '10.0.0.2', 80),
      frameOf(60),
    ])
      expect(steer(host, other).queue).toBe(0)
    host.modify(REG.FTQF, 0, FTQF.QUEUE_ENABLE.mask, 127)
    expect(steer(host, packet()).queue).toBe(0)
  })

  test.each(['from', 'to', 'sport', 'dport', 'protocol'] as const)(
    'do not ask for %s when it is masked',
    (field) => {
      const host = queuesHost()
      tuple(host, 0, 3, { ...ALL, [field]: undefined })
      const changed = {
        from: tcp4('192.168.9.9', 1111, '10.0.0.2', 80),
        to: tcp4('10.0.0.1', 1111, '192.168.9.9', 80),
        sport: tcp4('10.0.0.1', 9, '10.0.0.2', 80),
        dport: tcp4('10.0.0.1', 1111, '10.0.0.2', 9),
        protocol: udp4('10.0.0.1', 1111, '10.0.0.2', 80),
      }
      for (const [name, frame] of Object.entries(changed))
        expect([name, steer(host, frame).queue]).toEqual([name, name === field ? 3 : 0])
    },
  )

  test('compare addresses whose last byte is above 127', () => {
    const host = queuesHost()
    tuple(host, 0, 2, { from: '10.0.0.200', to: '1.2.3.250' })
    expect(steer(host, udp4('10.0.0.200', 1, '1.2.3.250', 2)).queue).toBe(2)
  })

  test('that compare nothing are not used', () => {
    const host = queuesHost()
    tuple(host, 0, 3, {})
    expect(steer(host, packet()).queue).toBe(0)
  })

  test('of several the one with the highest priority wins', () => {
    const host = queuesHost()
    tuple(host, 0, 1, { dport: 80, priority: 2 })
    tuple(host, 1, 2, { from: '10.0.0.1', priority: 7 })
    tuple(host, 2, 3, { protocol: TCP, priority: 1 })
    expect(steer(host, packet()).queue).toBe(2)
    expect(steer(host, tcp4('10.0.0.9', 1, '10.0.0.2', 80)).queue).toBe(1)
    expect(steer(host, tcp4('10.0.0.9', 1, '10.0.0.2', 81)).queue).toBe(3)
    tuple(host, 2, 3, { protocol: TCP, priority: 3 })
    expect(steer(host, tcp4('10.0.0.9', 1, '10.0.0.2', 80)).queue).toBe(3)
  })

  test('of IPv6 see protocol and ports only', () => {
    const host = queuesHost()
    const six = tcp6('fe80::1', 1111, 'fe80::2', 80)
    tuple(host, 0, 3, { from: '0.0.0.0', dport: 80 })
    expect(steer(host, six).queue).toBe(0)
    tuple(host, 1, 2, { dport: 80, protocol: TCP })
    expect(steer(host, six).queue).toBe(2)
  })

  test('know SCTP, and other protocols, which have no ports', () => {
    const host = queuesHost()
    tuple(host, 0, 1, { protocol: SCTP })
    tuple(host, 1, 2, { protocol: OTHER })
    tuple(host, 2, 3, { protocol: UDP })
    expect(steer(host, altered(packet(), 132)).queue).toBe(1)
    expect(steer(host, altered(packet(), 47)).queue).toBe(2)
    expect(steer(host, udp4('10.0.0.1', 1, '10.0.0.2', 2)).queue).toBe(3)
    expect(steer(host, packet()).queue).toBe(0)
    tuple(host, 1, 2, { protocol: OTHER, dport: 80 })
    expect(steer(host, altered(packet(), 47)).queue).toBe(0)
  })

  test('of a fragment see the addresses only', () => {
    const host = queuesHost()
    const fragment = altered(packet(), 6, 0x20)
    tuple(host, 0, 1, { from: '10.0.0.1', protocol: TCP })
    tuple(host, 1, 2, { from: '10.0.0.1', protocol: OTHER })
    tuple(host, 2, 3, { from: '10.0.0.1', dport: 80 })
    expect(steer(host, fragment).queue).toBe(0)
    tuple(host, 3, 1, { from: '10.0.0.1' })
    expect(steer(host, fragment).queue).toBe(1)
  })
})

describe('the order', () => {
  test('EtherType comes first, then 5-tuple and SYN as SYNQFP says', () => {
    const host = queuesHost()
    syn(host, 1)
    tuple(host, 0, 2, { dport: 80, protocol: TCP })
    expect(steer(host, withSyn(packet())).queue).toBe(2)
    expect(steer(host, withSyn(tcp4('10.0.0.1', 1, '10.0.0.2', 81))).queue).toBe(1)
    syn(host, 1, true)
    expect(steer(host, withSyn(packet())).queue).toBe(1)
    expect(steer(host, packet()).queue).toBe(2)
    etherType(host, 7, IPV4, 3)
    expect(steer(host, withSyn(packet()))).toMatchObject({ queue: 3, word0: 0x8070 })
    host.write(REG.ETQS, 0, 7)
    expect(steer(host, withSyn(packet()))).toMatchObject({ queue: 1, word0: 0x8070 })
  })

  test('RSS chooses for those that no filter takes; its hash is reported either way', () => {
    const host = rssHost(RSS_IPV4.mask | RSS_TCP_IPV4.mask)
    const plain = steer(host, packet())
    expect(plain.hash).not.toBe(0)
    const queue = (plain.queue + 1) % 4
    tuple(host, 0, queue, { dport: 80, protocol: TCP })
    expect(steer(host, packet())).toEqual({ ...plain, queue })
    const missed = tcp4('10.0.0.1', 1111, '10.0.0.2', 81)
    const before = steer(host, missed)
    host.write(REG.FTQF, 0, 0)
    expect(steer(host, missed)).toEqual(before)
    expect(steer(host, packet())).toEqual(plain)
  })

  test('a frame for a queue that is off is dropped and counted', () => {
    const host = queuesHost()
    tuple(host, 0, 9, { dport: 80 })
    host.wire.waiting.push(packet())
    host.poll()
    expect(host.wire.delivered).toEqual([false])
    expect(host.read(REG.QPRDC)).toBe(1)
  })

  test('a reset switches all off', () => {
    const host = queuesHost()
    etherType(host, 0, LOCAL_EXPERIMENT, 1)
    syn(host, 2)
    tuple(host, 0, 3, { dport: 80 })
    host.initialise()
    host.acceptAll()
    host.startReceive()
    host.enableReceive()
    host.waitForLink()
    for (const frame of [frameOf(60), withSyn(packet()), packet()]) expect(steer(host, frame).queue).toBe(0)
  })
})
