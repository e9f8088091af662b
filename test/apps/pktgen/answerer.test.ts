/** Answers as whoever has asked takes them. That Linux does is in test/e2e/pktgen-answer.test.ts. */
import { Answerer } from '../../../src/apps/pktgen/answerer.ts'
import { readAddresses } from '../../../src/apps/pktgen/templates/range.ts'
import { ArpOperation, ArpPacket } from '../../../src/packet/arp.ts'
import {
  ethernet,
  fillChecksums,
  echo,
  type Header,
  ip,
  vlans,
  writeHeaders,
} from '../../../src/packet/headers.ts'
import { EthernetFrame, EtherType } from '../../../src/packet/ethernet.ts'
import { IcmpMessage, IcmpType } from '../../../src/packet/icmp.ts'
import { Icmpv6Type } from '../../../src/packet/icmpv6.ts'
import { IpProtocol, parseIpv4 } from '../../../src/packet/ipv4.ts'
import { Ipv6Packet, parseIpv6 } from '../../../src/packet/ipv6.ts'
import { BROADCAST_MAC, parseMac } from '../../../src/packet/mac.ts'
import { groupMac, NEIGHBOUR_BYTES, NeighbourMessage, solicitedNode } from '../../../src/packet/neighbour.ts'
import { makeMemory, packet } from './memory.ts'

const OURS = parseMac('02:00:00:00:00:01')
const THEIRS = parseMac('02:00:00:00:00:02')
const ADDRESSES = ['10.0.0.1-10.0.0.9', 'fd00::1', 'fd00::100-fd00::1ff'].map((text) =>
  readAddresses('ip', text),
)

/** What becomes of frames that come in together, `most` answers at most: the answers, in order. */
function answersTo(frames: readonly Uint8Array[], most = 32): { answers: Buffer[]; answerer: Answerer } {
  const memory = makeMemory()
  const ids = new Int32Array(frames.length)
  memory.allocate(0, ids, frames.length)
  frames.forEach((frame, i) => {
    memory.u8.set(frame, memory.dataOffset(ids[i]))
    memory.size[ids[i]] = frame.length
  })
  const before = [...ids].sort()
  const answerer = new Answerer(memory, { mac: OURS, addresses: ADDRESSES })
  const count = answerer.answer(ids, frames.length, most)
  // All of them are still there.
  expect([...ids].sort()).toEqual(before)
  return { answers: [...ids.subarray(0, count)].map((id) => Buffer.from(packet(memory, id))), answerer }
}

function built(headers: Header[], bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes)
  writeHeaders(headers, frame)
  fillChecksums(headers, frame)
  return frame
}

function arpRequest(target: string, tags: number[] = []): Uint8Array {
  const headers = [ethernet(THEIRS, BROADCAST_MAC), ...vlans(tags)]
  const frame = built(headers, 64)
  const at = 14 + 4 * tags.length
  frame[at - 2] = EtherType.ARP >> 8
  frame[at - 1] = EtherType.ARP & 0xff
  const arp = new ArpPacket()
  arp.create(frame, at)
  arp.ask(THEIRS, parseIpv4('10.0.0.77'), parseIpv4(target))
  return frame
}

function solicitation(target: string): Uint8Array {
  const address = parseIpv6(target)
  const group = solicitedNode(address)
  const frame = built(
    [ethernet(THEIRS, groupMac(group)), ip(parseIpv6('fd00::77'), group)],
    54 + NEIGHBOUR_BYTES,
  )
  const [ip6, message, icmp] = [new Ipv6Packet(), new NeighbourMessage(), new IcmpMessage()]
  ip6.wrap(frame, 14)
  ip6.nextHeader = IpProtocol.ICMPV6
  ip6.hopLimit = 255
  message.ask(frame, 54, NEIGHBOUR_BYTES, THEIRS, address)
  icmp.wrap(frame, 54)
  icmp.fillChecksum(ip6)
  return frame
}

function ping(target: string, to = OURS): Uint8Array {
  const source = target.includes(':') ? 'fd00::77' : '10.0.0.77'
  const [from, address] = [source, target].map((text) => readAddresses('ip', text).first)
  return built([ethernet(THEIRS, to), ip(from, address), echo(from.length === 4 ? 4 : 6, 7)], 100)
}

test.each([[[]], [[5]], [[5, 6]]])(
  'ARP for an address of the range is answered, behind tags %j',
  (tags: number[]) => {
    const { answers, answerer } = answersTo([arpRequest('10.0.0.9', tags), arpRequest('10.0.0.10', tags)])
    expect(answers).toHaveLength(1)
    const [frame, arp] = [new EthernetFrame(), new ArpPacket()]
    expect(frame.wrap(answers[0]) && frame.destinationIs(THEIRS) && frame.sourceIs(OURS)).toBe(true)
    expect(arp.wrap(answers[0], 14 + 4 * tags.length)).toBe(true)
    expect([arp.operation, arp.senderIp, arp.targetIp]).toEqual([
      ArpOperation.REPLY,
      parseIpv4('10.0.0.9'),
      parseIpv4('10.0.0.77'),
    ])
    expect(answerer.answered).toEqual({ arp: 1, neighbour: 0, ping: 0 })
  },
)

test('a solicitation for an address of ours is answered, and only if nothing is wrong with it', () => {
  const wrong = solicitation('fd00::1')
  wrong[60] ^= 1
  const routed = solicitation('fd00::1')
  routed[21] = 254
  const asked = ['fd00::1', 'fd00::2', 'fd00::1ff', 'fd00::200'].map(solicitation)
  const { answers, answerer } = answersTo([...asked, wrong, routed])
  expect(answers).toHaveLength(2)
  const [ip6, icmp, message] = [new Ipv6Packet(), new IcmpMessage(), new NeighbourMessage()]
  expect(ip6.wrap(answers[1], 14) && icmp.wrap(answers[1], 54) && icmp.checksumOk(ip6)).toBe(true)
  expect(icmp.type).toBe(Icmpv6Type.NEIGHBOUR_ADVERTISEMENT)
  expect(ip6.destinationIs(parseIpv6('fd00::77')) && ip6.sourceIs(parseIpv6('fd00::1ff'))).toBe(true)
  const mac = new Uint8Array(6)
  expect(
    message.wrap(answers[1], 54) && message.copyMac(mac) && message.targetIs(parseIpv6('fd00::1ff')),
  ).toBe(true)
  expect(mac).toEqual(OURS)
  expect(answerer.answered).toEqual({ arp: 0, neighbour: 2, ping: 0 })
})

test.each(['10.0.0.5', 'fd00::1'])('a ping of %s is answered, one for somebody else isn’t', (target) => {
  const other = target.includes(':') ? 'fd00::5' : '10.0.0.50'
  const { answers, answerer } = answersTo([ping(other), ping(target), ping(target, THEIRS)])
  expect(answers).toHaveLength(1)
  const type = answers[0][target.includes(':') ? 54 : 34]
  expect(type).toBe(target.includes(':') ? Icmpv6Type.ECHO_REPLY : IcmpType.ECHO_REPLY)
  expect(answerer.answered.ping).toBe(1)
})

test('no more are answered than there is room for, and the others are left as they are', () => {
  const { answers } = answersTo(
    [new Uint8Array(10), ping('10.0.0.1'), arpRequest('10.0.0.1'), ping('10.0.0.2')],
    2,
  )
  expect(answers.map((frame) => frame[12] * 256 + frame[13])).toEqual([EtherType.IPV4, EtherType.ARP])
  expect(answersTo([ping('10.0.0.1')], 0).answers).toEqual([])
})

test('nonsense is nobody’s question', () => {
  for (const whole of [
    ping('10.0.0.1'),
    ping('fd00::1'),
    solicitation('fd00::1'),
    arpRequest('10.0.0.1', [1, 2]),
  ])
    for (let length = 0; length < whole.length - 20; length++) {
      const { answers } = answersTo([whole.slice(0, length)])
      expect(answers.length === 0 || whole[12] === 0x88).toBe(true)
    }
})
