/** Frames that the views have built, as tshark reads them. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { CaptureFile } from '../../src/captures/files.ts'
import { ArpPacket } from '../../src/packet/arp.ts'
import { EthernetFrame, EtherType } from '../../src/packet/ethernet.ts'
import { IcmpMessage } from '../../src/packet/icmp.ts'
import { formatIpv4, IpProtocol, Ipv4Packet } from '../../src/packet/ipv4.ts'
import { formatIpv6, Ipv6Packet } from '../../src/packet/ipv6.ts'
import { formatMac } from '../../src/packet/mac.ts'
import { TcpSegment } from '../../src/packet/tcp.ts'
import { UdpDatagram } from '../../src/packet/udp.ts'
import { VlanTag } from '../../src/packet/vlan.ts'
import { describeIf, missing } from '../skip.ts'

/** A frame, and what tshark is to say of it. */
interface Built {
  readonly frame: Uint8Array
  readonly expected: Readonly<Record<string, string>>
}

const u16 = fc.nat(0xffff)
const u32 = fc.integer()
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 })
/** Some addresses and ports mean more to tshark than numbers. */
const port = fc.integer({ min: 20_000, max: 20_200 })

const outer = fc.record({
  source: mac,
  destination: mac,
  tag: fc.option(fc.record({ id: fc.nat(0xfff), priority: fc.nat(7), dropEligible: fc.boolean() })),
  payload: fc.uint8Array({ maxLength: 200 }),
})

/** Writes Ethernet header and tag; returns where the payload goes, and what is expected of what is written. */
function begin(
  frame: Uint8Array,
  { source, destination, tag }: { source: Uint8Array; destination: Uint8Array; tag: object | null },
  type: number,
): { at: number; expected: Record<string, string> } {
  const ethernet = new EthernetFrame()
  ethernet.wrap(frame)
  ethernet.setSource(source)
  ethernet.setDestination(destination)
  ethernet.type = tag === null ? type : EtherType.VLAN
  const expected: Record<string, string> = {
    'eth.src': formatMac(source),
    'eth.dst': formatMac(destination),
  }
  if (tag === null) return { at: ethernet.payloadOffset, expected }
  const vlan = new VlanTag()
  vlan.wrap(frame, ethernet.payloadOffset, ethernet.payloadLength)
  Object.assign(vlan, tag, { type })
  expected['vlan.id'] = String(vlan.id)
  expected['vlan.priority'] = String(vlan.priority)
  expected['vlan.dei'] = vlan.dropEligible ? 'True' : 'False'
  return { at: vlan.payloadOffset, expected }
}

const arp = fc
  .tuple(
    outer,
    fc.record({
      operation: fc.constantFrom(1, 2),
      senderMac: mac,
      senderIp: u32,
      targetMac: mac,
      targetIp: u32,
    }),
  )
  .map(([ends, fields]): Built => {
    const frame = new Uint8Array(60)
    const { at, expected } = begin(frame, ends, EtherType.ARP)
    const packet = new ArpPacket()
    packet.create(frame, at)
    const { senderMac, targetMac, ...numbers } = fields
    packet.setSenderMac(senderMac)
    packet.setTargetMac(targetMac)
    Object.assign(packet, numbers)
    return {
      frame,
      expected: {
        ...expected,
        'arp.opcode': String(fields.operation),
        'arp.src.hw_mac': formatMac(fields.senderMac),
        'arp.src.proto_ipv4': formatIpv4(fields.senderIp),
        'arp.dst.hw_mac': formatMac(fields.targetMac),
        'arp.dst.proto_ipv4': formatIpv4(fields.targetIp),
      },
    }
  })

type Transport = (
  ip: Ipv4Packet | Ipv6Packet,
  payload: Uint8Array,
  ports: [number, number],
  word: number,
) => Record<string, string>

const udp: Transport = (ip, payload, [sourcePort, destinationPort]) => {
  const view = new UdpDatagram()
  view.create(ip.u8, ip.payloadOffset, ip.payloadLength)
  Object.assign(view, { sourcePort, destinationPort })
  ip.u8.set(payload.subarray(0, view.payloadLength), view.payloadOffset)
  view.fillChecksum(ip)
  return {
    'udp.srcport': String(sourcePort),
    'udp.dstport': String(destinationPort),
    'udp.length': String(view.length),
    'udp.checksum.status': '1',
  }
}

const tcp: Transport = (ip, payload, [sourcePort, destinationPort], word) => {
  const view = new TcpSegment()
  view.create(ip.u8, ip.payloadOffset, ip.payloadLength, 4)
  const fields = { sequence: word, acknowledgement: ~word, flags: word & 0xff, window: word >>> 16 }
  Object.assign(view, { ...fields, sourcePort, destinationPort })
  ip.u8.set(payload.subarray(0, view.payloadLength), view.payloadOffset)
  view.fillChecksum(ip)
  return {
    'tcp.srcport': String(sourcePort),
    'tcp.dstport': String(destinationPort),
    'tcp.seq_raw': String(view.sequence >>> 0),
    'tcp.ack_raw': String(view.acknowledgement >>> 0),
    'tcp.flags': `0x${fields.flags.toString(16).padStart(4, '0')}`,
    'tcp.window_size_value': String(fields.window),
    'tcp.hdr_len': '24',
    'tcp.len': String(view.payloadLength),
    'tcp.checksum.status': '1',
  }
}

const icmp: Transport = (ip, payload, _, word) => {
  const view = new IcmpMessage()
  const v6 = ip instanceof Ipv6Packet
  view.create(ip.u8, ip.payloadOffset, ip.payloadLength)
  Object.assign(view, { type: v6 ? 128 : 8, identifier: word >>> 16, sequence: word & 0xffff })
  ip.u8.set(payload.subarray(0, view.payloadLength), view.payloadOffset)
  view.fillChecksum(v6 ? ip : null)
  return v6
    ? {
        'icmpv6.type': '128',
        'icmpv6.echo.identifier': `0x${view.identifier.toString(16).padStart(4, '0')}`,
        'icmpv6.echo.sequence_number': String(view.sequence),
        'icmpv6.checksum.status': '1',
      }
    : {
        'icmp.type': '8',
        'icmp.ident': String(view.identifier),
        'icmp.seq': String(view.sequence),
        'icmp.checksum.status': '1',
      }
}

const transport = fc.constantFrom<[number, number, Transport]>(
  [IpProtocol.UDP, IpProtocol.UDP, udp],
  [IpProtocol.TCP, IpProtocol.TCP, tcp],
  [IpProtocol.ICMP, IpProtocol.ICMPV6, icmp],
)

const ipv4 = fc
  .tuple(outer, transport, u32, u32, u16, u32, port, port, fc.integer({ min: 2, max: 254 }))
  .map(([ends, [protocol, , fill], source, destination, identification, word, from, to, hops]): Built => {
    const frame = new Uint8Array(80 + ends.payload.length)
    const { at, expected } = begin(frame, ends, EtherType.IPV4)
    const ip = new Ipv4Packet()
    ip.create(frame, at, frame.length - at)
    Object.assign(ip, {
      source,
      destination,
      identification,
      protocol,
      timeToLive: hops + 1,
      dontFragment: true,
    })
    ip.fillChecksum()
    ip.decrementTimeToLive()
    return {
      frame,
      expected: {
        ...expected,
        ...fill(ip, ends.payload, [from, to], word),
        'ip.src': formatIpv4(source),
        'ip.dst': formatIpv4(destination),
        'ip.id': `0x${identification.toString(16).padStart(4, '0')}`,
        'ip.ttl': String(hops),
        'ip.proto': String(protocol),
        'ip.len': String(ip.length),
        'ip.flags.df': 'True',
        'ip.checksum.status': '1',
      },
    }
  })

const address = fc.uint8Array({ minLength: 16, maxLength: 16 })

const ipv6 = fc
  .tuple(outer, transport, address, address, fc.nat(0xfffff), u32, port, port, fc.nat(255))
  .map(
    ([ends, [, nextHeader, fill], source, destination, flowLabel, word, from, to, trafficClass]): Built => {
      const frame = new Uint8Array(100 + ends.payload.length)
      const { at, expected } = begin(frame, ends, EtherType.IPV6)
      const ip = new Ipv6Packet()
      ip.create(frame, at, frame.length - at)
      Object.assign(ip, { nextHeader, flowLabel, trafficClass })
      ip.setSource(source)
      ip.setDestination(destination)
      return {
        frame,
        expected: {
          ...expected,
          ...fill(ip, ends.payload, [from, to], word),
          'ipv6.src': formatIpv6(source),
          'ipv6.dst': formatIpv6(destination),
          'ipv6.flow': `0x${flowLabel.toString(16).padStart(6, '0')}`,
          'ipv6.tclass': `0x${trafficClass.toString(16).padStart(8, '0')}`,
          'ipv6.nxt': String(nextHeader),
          'ipv6.hlim': '64',
          'ipv6.plen': String(ip.payloadLength),
        },
      }
    },
  )

/** What tshark says of each frame; '' where a frame has no such field. */
function dissect(file: string, fields: readonly string[]): Record<string, string>[] {
  const checks = ['ip.check_checksum:TRUE', 'udp.check_checksum:TRUE', 'tcp.check_checksum:TRUE']
  const { stdout, stderr, status } = spawnSync(
    'tshark',
    [
      ...['-n', '-r', file, '-T', 'fields', '-E', 'occurrence=f', '-E', 'separator=;'],
      ...checks.flatMap((check) => ['-o', check]),
      ...fields.flatMap((field) => ['-e', field]),
    ],
    { encoding: 'utf8', maxBuffer: 2 ** 26 },
  )
  if (status !== 0) throw new Error(stderr)
  const lines = stdout.split('\n').slice(0, -1)
  return lines.map((line) => Object.fromEntries(line.split(';').map((value, i) => [fields[i], value])))
}

describeIf(missing({ programs: ['tshark'] }), 'tshark reads what was written', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ixy-views-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test.each([
    ['ARP', arp],
    ['IPv4', ipv4],
    ['IPv6', ipv6],
  ])('%s', (name, arbitrary) => {
    const built = fc.sample(arbitrary, 300)
    const file = path.join(folder, `${name}.pcap`)
    const capture = new CaptureFile(file)
    for (const { frame } of built) capture.write(frame)
    capture.close()
    const fields = [...new Set(built.flatMap(({ expected }) => Object.keys(expected)))]
    const seen = dissect(file, fields)
    expect(seen.length).toBe(built.length)
    // tshark 4.0 writes 1 and 0 for what later ones write as True and False.
    const plain = (value: string) => ({ 1: 'True', 0: 'False' })[value] ?? value
    built.forEach(({ expected }, i) => {
      for (const field of fields) {
        const [want, got] = [expected[field] ?? '', seen[i][field]]
        const flag = want === 'True' || want === 'False'
        expect({ i, [field]: flag ? plain(got) : got }).toEqual({ i, [field]: want })
      }
    })
  })
})
