/** Large packets of TCP and UDP, and what is to come of them, both built with the views: each by itself, checksums and all. */
import fc from 'fast-check'
import { EthernetFrame, EtherType } from '../../src/packet/ethernet.ts'
import { IpProtocol, Ipv4Packet } from '../../src/packet/ipv4.ts'
import { Ipv6Packet } from '../../src/packet/ipv6.ts'
import { TcpFlag, TcpSegment } from '../../src/packet/tcp.ts'
import { UdpDatagram } from '../../src/packet/udp.ts'
import { VlanTag } from '../../src/packet/vlan.ts'

export interface Large {
  readonly v6: boolean
  readonly udp: boolean
  /** In the frame; null: none. */
  readonly tag: number | null
  /** In units of 4 bytes: of IPv4, and of TCP. */
  readonly ipOptions: number
  readonly tcpOptions: number
  /** A hop-by-hop header in IPv6. */
  readonly extended: boolean
  readonly identification: number
  readonly sequence: number
  readonly flags: number
  readonly payload: Uint8Array
  readonly segment: number
}

/** Lengths of payload up to `most`. */
export function large(most: number): fc.Arbitrary<Large> {
  return fc
    .record({
      v6: fc.boolean(),
      udp: fc.boolean(),
      tag: fc.option(fc.nat(0xffff)),
      ipOptions: fc.oneof(fc.constant(0), fc.nat(10)),
      tcpOptions: fc.oneof(fc.constant(0), fc.nat(10)),
      extended: fc.boolean(),
      identification: fc.oneof(fc.nat(0xffff), fc.constantFrom(0xffff, 0xfffe)),
      sequence: fc.integer(),
      flags: fc.nat(0xff),
      seed: fc.nat(0xffff),
      zero: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
      length: fc.oneof(fc.integer({ min: 1, max: most }), fc.integer({ min: 1, max: 200 })),
      pieces: fc.integer({ min: 1, max: 12 }),
    })
    .map(({ seed, length, pieces, zero, ...rest }) => {
      const payload = new Uint8Array(length)
      for (let i = 0, x = seed; i < length; i++) payload[i] = x = (x * 75 + 74) % 65537
      const packet = { ...rest, payload, segment: Math.max(1, Math.ceil(length / pieces)) }
      if (zero && length > 1) makeZero(packet)
      return packet
    })
}

/** Changes the first word of the payload so that the checksum is 0, which UDP sends as 0xffff. */
function makeZero({ payload, ...packet }: Large): void {
  payload.fill(0, 0, 2)
  const { frame, checksumStart, checksumOffset } = build({ ...packet, payload }, false)
  const at = checksumStart + checksumOffset
  payload.set(frame.subarray(at, at + 2))
}

/** Where things are in a frame that build() has made. */
export interface Built {
  readonly frame: Uint8Array
  readonly checksumStart: number
  readonly checksumOffset: number
  readonly headerBytes: number
}

/** `open`: with checksums still to be completed, that of the IPv4 header, too, and now wrong, if `ipOpen`. */
export function build(packet: Large, open: boolean, ipOpen = open): Built {
  const { v6, udp, tag, payload } = packet
  const ethernet = new EthernetFrame()
  const l3 = tag === null ? 14 : 18
  const extension = v6 && packet.extended ? 8 : 0
  const ipBytes = v6 ? 40 + extension : 20 + packet.ipOptions * 4
  const l4Bytes = udp ? 8 : 20 + packet.tcpOptions * 4
  const l4 = l3 + ipBytes
  const headerBytes = l4 + l4Bytes
  const frame = new Uint8Array(headerBytes + payload.length)
  ethernet.wrap(frame)
  ethernet.setSource(Uint8Array.of(2, 0, 0, 0, 0, 1))
  ethernet.setDestination(Uint8Array.of(2, 0, 0, 0, 0, 2))
  ethernet.type = v6 ? EtherType.IPV6 : EtherType.IPV4
  if (tag !== null) {
    const vlan = new VlanTag()
    vlan.wrap(frame, 14)
    vlan.type = ethernet.type
    new DataView(frame.buffer).setUint16(14, tag)
    ethernet.type = EtherType.VLAN
  }
  const protocol = udp ? IpProtocol.UDP : IpProtocol.TCP
  const ipBody = frame.length - l3
  const ip = v6 ? new Ipv6Packet() : new Ipv4Packet()
  if (ip instanceof Ipv6Packet) {
    ip.create(frame, l3, ipBody)
    ip.nextHeader = extension > 0 ? 0 : protocol
    // Options of hop-by-hop: one that fills up.
    if (extension > 0) frame.set([protocol, 0, 1, 4, 0, 0, 0, 0], l3 + 40)
    frame.set(
      Uint8Array.from({ length: 32 }, (_, i) => 0x20 + i),
      l3 + 8,
    )
    ip.hopLimit = 64
  } else {
    ip.create(frame, l3, ipBody)
    frame[l3] += packet.ipOptions
    frame.fill(1, l3 + 20, l4)
    ip.wrap(frame, l3, ipBody)
    ip.protocol = protocol
    ip.identification = packet.identification
    ip.timeToLive = 64
    ip.source = 0x0a000001
    ip.destination = 0x0a000002
    if (ipOpen) frame.set([0xde, 0xad], l3 + 10)
    else ip.fillChecksum()
  }
  const body = udp ? new UdpDatagram() : new TcpSegment()
  if (body instanceof TcpSegment) {
    body.create(frame, l4, frame.length - l4, packet.tcpOptions * 4)
    frame.fill(1, l4 + 20, headerBytes)
    body.sequence = packet.sequence
    body.acknowledgement = 0x01020304
    body.flags = packet.flags
    body.window = 0x1234
  } else body.create(frame, l4, frame.length - l4)
  body.sourcePort = 20_000
  body.destinationPort = 20_001
  frame.set(payload, headerBytes)
  if (open) body.openChecksum(ip)
  else body.fillChecksum(ip)
  return { frame, checksumStart: l4, checksumOffset: udp ? 6 : 16, headerBytes }
}

/** The packets that a large one of TCP becomes, complete, as its `segment` says. */
export function cutByHand(packet: Large): Uint8Array[] {
  const { payload, segment, identification, sequence, flags } = packet
  const count = Math.ceil(payload.length / segment)
  return Array.from({ length: count }, (_, k) => {
    let kept = flags
    if (k > 0) kept &= ~TcpFlag.CWR
    if (k < count - 1) kept &= ~(TcpFlag.FIN | TcpFlag.PSH)
    const part = {
      payload: payload.slice(k * segment, (k + 1) * segment),
      identification: (identification + k) & 0xffff,
      sequence: (sequence + k * segment) | 0,
      flags: kept,
    }
    return build({ ...packet, ...part }, false).frame
  })
}
