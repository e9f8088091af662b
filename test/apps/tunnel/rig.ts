/** Tunnel ends on ports that are arrays of frames, in one thread. */
import { tunnel } from '../../../src/apps/tunnel/app.ts'
import type { TunnelJob } from '../../../src/apps/tunnel/job.ts'
import { type TunnelFlags, tunnelOptions } from '../../../src/apps/tunnel/options.ts'
import { planTunnel } from '../../../src/apps/tunnel/plan.ts'
import { EthernetFrame, EtherType } from '../../../src/packet/ethernet.ts'
import { IpProtocol, Ipv4Packet } from '../../../src/packet/ipv4.ts'
import { Ipv6Packet } from '../../../src/packet/ipv6.ts'
import { parseMac } from '../../../src/packet/mac.ts'
import { UdpDatagram } from '../../../src/packet/udp.ts'
import { FakeRun } from '../../examples/fake-ports.ts'

export const OUTER = 0
export const INNER = 1

/** The options that are always there. */
export const DEFAULTS = { ttl: 64, dscp: 0 } as const

export function jobOf(flags: Partial<TunnelFlags>, mtu = 1500): TunnelJob {
  const context = { devices: ['outer', 'inner'], physical: [false, false], queues: 1, mtu }
  const options = tunnelOptions({ ...DEFAULTS, ...flags })
  return planTunnel(options, {
    ...context,
    log: () => undefined,
    print: () => true,
    stop: new AbortController().signal,
  })[0]
}

/** One end. */
export class End extends FakeRun {
  readonly job: TunnelJob

  constructor(flags: Partial<TunnelFlags>, mtu = 1500, wasm = false) {
    const job = jobOf(flags, mtu)
    super(tunnel as never, 2, job, undefined, wasm)
    this.job = job
  }

  /** Counters that aren't 0. */
  get counted(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.counters).filter(([, count]) => count > 0))
  }
}

/** The same end as seen from the other. */
export const SIDES = {
  4: { a: '192.0.2.1', b: '192.0.2.2' },
  6: { a: '2001:db8::1', b: '2001:db8::2' },
} as const

export function bothEnds(
  ip: 4 | 6,
  flags: Partial<TunnelFlags>,
  inner: { a?: Partial<TunnelFlags>; b?: Partial<TunnelFlags> } = {},
): [End, End] {
  const { a, b } = SIDES[ip]
  return [
    new End({ ...flags, local: a, remote: b, ...inner.a }),
    new End({ ...flags, local: b, remote: a, ...inner.b }),
  ]
}

/** Lets frames come in at the inner side of `from`; carries what the two send each other till nothing moves; returns what came out inside. */
export function carry(
  from: End,
  to: End,
  ...frames: Uint8Array[]
): { there: Buffer[]; back: Buffer[]; wire: Buffer[] } {
  const wire: Buffer[] = []
  const there: Buffer[] = []
  const back: Buffer[] = []
  const [first, answered] = from.receive(INNER, ...frames)
  back.push(...answered)
  let toB = first
  while (toB.length > 0) {
    wire.push(...toB)
    const [toA, outB] = to.receive(OUTER, ...toB)
    there.push(...outB)
    wire.push(...toA)
    const [next, outA] = from.receive(OUTER, ...toA)
    back.push(...outA)
    toB = next
  }
  return { there, back, wire }
}

interface Inner {
  readonly toMac?: Uint8Array
  readonly trafficClass?: number
  readonly payloadBytes?: number
  readonly sourcePort?: number
  readonly vlan?: number | undefined
  readonly dontFragment?: boolean
}

/** A frame of the inner side with a UDP datagram: IPv4 or IPv6. Not padded. */
export function innerFrame(
  ip: 4 | 6,
  {
    toMac = parseMac('02:00:00:00:00:0b'),
    trafficClass = 0,
    payloadBytes = 18,
    sourcePort = 1234,
    vlan,
    dontFragment = true,
  }: Inner = {},
): Uint8Array {
  const header = vlan === undefined ? 14 : 18
  const ipBytes = ip === 4 ? 20 : 40
  const frame = new Uint8Array(header + ipBytes + 8 + payloadBytes)
  const ethernet = new EthernetFrame()
  ethernet.wrap(frame)
  ethernet.setSource(parseMac('02:00:00:00:00:0a'))
  ethernet.setDestination(toMac)
  const type = ip === 4 ? EtherType.IPV4 : EtherType.IPV6
  ethernet.type = vlan === undefined ? type : EtherType.VLAN
  if (vlan !== undefined) frame.set([vlan >> 8, vlan, type >> 8, type & 0xff], 14)
  const packet = ip === 4 ? ipv4(frame, header, dontFragment) : ipv6(frame, header)
  packet.trafficClass = trafficClass
  if (packet instanceof Ipv4Packet) packet.fillChecksum()
  const udp = new UdpDatagram()
  udp.create(frame, packet.payloadOffset, packet.payloadLength)
  udp.sourcePort = sourcePort
  udp.destinationPort = 4321
  frame.fill(0x5a, packet.payloadOffset + 8)
  udp.fillChecksum(packet)
  return frame
}

function ipv4(frame: Uint8Array, at: number, dontFragment: boolean): Ipv4Packet {
  const packet = new Ipv4Packet()
  packet.create(frame, at, frame.length - at)
  packet.protocol = IpProtocol.UDP
  packet.dontFragment = dontFragment
  packet.source = 0x0a000001
  packet.destination = 0x0a000002
  return packet
}

function ipv6(frame: Uint8Array, at: number): Ipv6Packet {
  const packet = new Ipv6Packet()
  packet.create(frame, at, frame.length - at)
  packet.nextHeader = IpProtocol.UDP
  packet.setSource(Uint8Array.of(0xfd, ...new Array<number>(14).fill(0), 1))
  packet.setDestination(Uint8Array.of(0xfd, ...new Array<number>(14).fill(0), 2))
  return packet
}

/** Numbers that are the same in each run (xorshift32). */
export function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
