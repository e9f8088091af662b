/** From options to what the packets of a stream look like. Everything wrong is said in one line. */
import { usageError } from '../../../errors.ts'
import {
  DEFAULT_TEMPLATE,
  type Ends,
  type FrameTemplate,
  IMIX_SIZES,
  maxFrameBytes,
  minFrameBytes,
  payloadOffset,
} from '../../../packet/template.ts'
import { parseIpv6 } from '../../../packet/ipv6.ts'
import type { Counts, Order } from './frame-plan.ts'
import { STREAM_OPTIONS, type StreamFlag, type StreamFlags } from './stream-options.ts'

/** What `planFrames` takes. */
export interface Shape {
  readonly template: FrameTemplate
  /** In turn. */
  readonly sizes: readonly number[]
  readonly counts: Counts
  readonly order: Order
  readonly seed: number
}

export interface Surroundings {
  /** Largest packet, bytes after the Ethernet header. */
  readonly mtu: number
  /** Bytes of payload that each packet needs for what else is to be in it. */
  readonly payload: number
  /** How an option is called where it was given: `--size`, or `size` in a profile. */
  readonly called: (name: string) => string
}

/** Not parsed before it is wanted: that takes milliseconds, and few want it. */
const defaultIpv6 = () => ({ sourceIp: parseIpv6('fd00::1'), destinationIp: parseIpv6('fd00::2') })
const OUTER: readonly StreamFlag[] = ['outerSrcIp', 'outerDstIp', 'outerSrcMac', 'outerDstMac', 'outerVlan']
const PORTS: readonly StreamFlag[] = ['srcPort', 'dstPort', 'flows']

/** Throws IXY_ERR_USAGE for what doesn't go together or doesn't fit. */
export function shapeOf(flags: StreamFlags, surroundings: Surroundings): Shape {
  const { called } = surroundings
  const { proto = 'udp', order = 'turn' } = flags
  const means = (given: readonly StreamFlag[], there: boolean, why: string, fix: string): void => {
    const stray = given.find((flag) => flags[flag] !== undefined)
    if (stray !== undefined && !there)
      throw usageError(`${called(STREAM_OPTIONS[stray].name)} means nothing ${why}`, fix)
  }
  means(
    PORTS,
    proto !== 'icmp',
    'for ICMP, which has no ports',
    'leave it out; ranges of addresses make flows',
  )
  means(['tcpFlags'], proto === 'tcp', `for ${proto}`, `give ${called('proto')} tcp as well`)
  means(['udpChecksum'], proto === 'udp', `for ${proto}, whose checksum is always there`, 'leave it out')
  means(
    OUTER,
    flags.vxlan !== undefined,
    `without ${called('vxlan')}`,
    `give ${called('vxlan')} <vni> as well`,
  )
  means(['seed'], order === 'random', 'where nothing is random', `give ${called('order')} random as well`)
  if (flags.size !== undefined && flags.imix !== undefined)
    throw usageError(
      `${called('size')} cannot be used with ${called('imix')}, which has sizes of its own`,
      'leave one of them out',
    )
  const template = templateOf(flags, surroundings)
  return {
    template,
    sizes: sizesOf(flags, template, surroundings),
    counts: countsOf(flags, called),
    order,
    seed: flags.seed ?? 0,
  }
}

function templateOf(flags: StreamFlags, { called }: Surroundings): FrameTemplate {
  const { proto, srcPort, dstPort, tcpFlags, udpChecksum, vxlan } = flags
  const ends = endsOf(
    {
      srcMac: flags.srcMac?.first,
      dstMac: flags.dstMac?.first,
      srcIp: flags.srcIp?.first,
      dstIp: flags.dstIp?.first,
    },
    flags.vlan,
    (name) => called(name),
  )
  const outer = (): Ends =>
    endsOf(
      {
        srcMac: flags.outerSrcMac,
        dstMac: flags.outerDstMac,
        srcIp: flags.outerSrcIp,
        dstIp: flags.outerDstIp,
      },
      flags.outerVlan,
      (name) => called(`outer-${name}`),
    )
  const ipv6 = ends.sourceIp.length === 16
  if (ipv6 && udpChecksum === false)
    throw usageError(`${called('udp-checksum')} off: UDP over IPv6 has its checksum always`, 'leave it out')
  return {
    ...ends,
    protocol: proto ?? DEFAULT_TEMPLATE.protocol,
    sourcePort: srcPort?.first ?? DEFAULT_TEMPLATE.sourcePort,
    destinationPort: dstPort?.first ?? DEFAULT_TEMPLATE.destinationPort,
    tcpFlags: tcpFlags ?? DEFAULT_TEMPLATE.tcpFlags,
    udpChecksum: udpChecksum ?? ipv6,
    vxlan: vxlan === undefined ? null : { ...outer(), vni: vxlan },
  }
}

interface GivenEnds {
  readonly srcMac: Uint8Array | undefined
  readonly dstMac: Uint8Array | undefined
  readonly srcIp: Uint8Array | undefined
  readonly dstIp: Uint8Array | undefined
}

function endsOf(
  { srcMac, dstMac, srcIp, dstIp }: GivenEnds,
  vlans: readonly number[] | undefined,
  called: (name: string) => string,
): Ends {
  const ipv6 = (srcIp ?? dstIp)?.length === 16
  if (srcIp !== undefined && dstIp !== undefined && srcIp.length !== dstIp.length)
    throw usageError(
      `${called('src-ip')} and ${called('dst-ip')} are not of the same IP version`,
      'give both as IPv4 or both as IPv6',
    )
  const { sourceIp, destinationIp } = ipv6 ? defaultIpv6() : DEFAULT_TEMPLATE
  return {
    sourceMac: srcMac ?? DEFAULT_TEMPLATE.sourceMac,
    destinationMac: dstMac ?? DEFAULT_TEMPLATE.destinationMac,
    vlans: vlans ?? [],
    sourceIp: srcIp ?? sourceIp,
    destinationIp: dstIp ?? destinationIp,
  }
}

function countsOf(flags: StreamFlags, called: (name: string) => string): Counts {
  const { srcIp, dstIp, srcPort, dstPort, srcMac, dstMac, flows = 1 } = flags
  const firstPort = srcPort?.first ?? DEFAULT_TEMPLATE.sourcePort
  if (flows > 1 && (srcPort?.count ?? 1) > 1)
    throw usageError(
      `${called('flows')} is a range of source ports, and ${called('src-port')} another`,
      'leave one of them out',
    )
  if (firstPort + flows > 0x10000)
    throw usageError(
      `${called('flows')} ${flows} needs ports up to ${firstPort + flows - 1}`,
      `give fewer flows or a lower ${called('src-port')}`,
    )
  return {
    sourceIp: srcIp?.count,
    destinationIp: dstIp?.count,
    sourcePort: flows > 1 ? flows : srcPort?.count,
    destinationPort: dstPort?.count,
    sourceMac: srcMac?.count,
    destinationMac: dstMac?.count,
  }
}

function sizesOf(
  flags: StreamFlags,
  template: FrameTemplate,
  { mtu, payload, called }: Surroundings,
): readonly number[] {
  const least = Math.max(minFrameBytes(template), payloadOffset(template) + payload)
  const most = maxFrameBytes(template, mtu)
  // Of the mix, what doesn't hold the headers is as short as can be.
  const sizes =
    flags.imix === true ? IMIX_SIZES.map((size) => Math.max(size, least)) : (flags.size ?? [least])
  const short = sizes.find((size) => size < least)
  if (short !== undefined)
    throw usageError(
      `${called('size')} ${short} is too short for what is to be in the packet`,
      `give at least ${least}`,
    )
  const long = sizes.find((size) => size > most)
  if (long !== undefined) {
    const tagged = (template.vxlan ?? template).vlans.length > 0
    const tag = template.vxlan === null ? 'vlan' : 'outer-vlan'
    throw usageError(
      flags.imix === true
        ? `${called('imix')} needs packets of ${long} bytes`
        : `${called('size')} ${long} is not valid`,
      `give at most ${most} with --mtu ${mtu}${tagged ? ` and ${called(tag)}` : ''}`,
    )
  }
  return sizes
}
