/** The options that say what packets look like: of the command line, and by the same names of each stream of a profile. */
import { usageError } from '../../../errors.ts'
import {
  MAX_FRAME_BYTES,
  MAX_VLAN_ID,
  MAX_VLAN_TAGS,
  MIN_FRAME_BYTES,
  VLAN_TAG_BYTES,
} from '../../../packet/ethernet.ts'
import { parseMac } from '../../../packet/mac.ts'
import { TcpFlag } from '../../../packet/tcp.ts'
import { MAX_FLOWS, PROTOCOLS } from '../../../packet/template.ts'
import { MAX_VNI } from '../../../packet/vxlan.ts'
import { byteSize, count, wholeNumber } from '../../../quantity.ts'
import { ORDERS, type Order } from './frame-plan.ts'
import { type AddressRange, type PortRange, readAddresses, readMacs, readPorts } from './range.ts'

/** What is given; what isn't is left to `shapeOf`. */
export interface StreamFlags {
  readonly size?: readonly number[]
  readonly imix?: true
  readonly proto?: (typeof PROTOCOLS)[number]
  readonly srcMac?: AddressRange
  readonly dstMac?: AddressRange
  readonly srcIp?: AddressRange
  readonly dstIp?: AddressRange
  readonly srcPort?: PortRange
  readonly dstPort?: PortRange
  readonly flows?: number
  readonly order?: Order
  readonly seed?: number
  readonly vlan?: readonly number[]
  readonly tcpFlags?: number
  readonly udpChecksum?: boolean
  readonly vxlan?: number
  readonly outerSrcMac?: Uint8Array
  readonly outerDstMac?: Uint8Array
  readonly outerSrcIp?: Uint8Array
  readonly outerDstIp?: Uint8Array
  readonly outerVlan?: readonly number[]
}

export type StreamFlag = keyof StreamFlags

export interface StreamOption<Flag extends StreamFlag = StreamFlag> {
  /** As users write it: `src-ip`. */
  readonly name: string
  /** How its value is written; null: it has none. */
  readonly value: string | null
  readonly description: string
  /** What there is to choose from. */
  readonly choices?: readonly string[]
  /** `what` names the option in an error. Throws IXY_ERR_USAGE. */
  readonly read: (what: string, text: string) => StreamFlags[Flag]
}

const MAX_SIZE = MAX_FRAME_BYTES + VLAN_TAG_BYTES
/** Sizes that are taken in turn, at most: a frame is kept for each. */
const MOST_SIZES = 64
const TCP_FLAGS = Object.keys(TcpFlag).map((name) => name.toLowerCase())

export const STREAM_OPTIONS: { readonly [Flag in StreamFlag]-?: StreamOption<Flag> } = {
  size: {
    name: 'size',
    value: '<bytes>',
    description:
      'packet size without FCS, up to --mtu + 14; several take turns: 60,1514 (default: 60, or what the headers need)',
    read: (what, text) =>
      list(what, text, MOST_SIZES, (part) => byteSize(`${what} `, part, MIN_FRAME_BYTES, MAX_SIZE)),
  },
  imix: {
    name: 'imix',
    value: null,
    description: 'sizes 60, 566 and 1514 in the ratio 7:4:1',
    read: () => true,
  },
  proto: {
    name: 'proto',
    value: '<name>',
    description: 'udp, tcp, or icmp: echo requests, of ICMPv6 with IPv6 addresses (default: udp)',
    choices: PROTOCOLS,
    read: (what, text) => oneOf(what, text, PROTOCOLS),
  },
  srcIp: {
    name: 'src-ip',
    value: '<ip>',
    description:
      'source IPv4 or IPv6 address, or a range: 10.0.0.1-10.0.0.254, 10.0.0.0/24, fd00::1-fd00::ff',
    read: readAddresses,
  },
  dstIp: { name: 'dst-ip', value: '<ip>', description: 'destination address, likewise', read: readAddresses },
  srcPort: {
    name: 'src-port',
    value: '<port>',
    description: 'UDP or TCP source port, or a range: 1024-2047',
    read: readPorts,
  },
  dstPort: { name: 'dst-port', value: '<port>', description: 'destination port, likewise', read: readPorts },
  srcMac: {
    name: 'src-mac',
    value: '<mac>',
    description: 'source MAC address, or a range: 02:00:00:00:00:01-02:00:00:00:00:ff',
    read: readMacs,
  },
  dstMac: {
    name: 'dst-mac',
    value: '<mac>',
    description: 'destination MAC address, likewise',
    read: readMacs,
  },
  flows: {
    name: 'flows',
    value: '<n>',
    description: 'so many source ports from the first on: a range by another name',
    read: (what, text) => count(`${what} `, text, 1, MAX_FLOWS),
  },
  order: {
    name: 'order',
    value: '<order>',
    description:
      'how ranges go together: turn, each goes on with every packet; product, every combination; random (default: turn)',
    choices: ORDERS,
    read: (what, text) => oneOf(what, text, ORDERS),
  },
  seed: {
    name: 'seed',
    value: '<n>',
    description: 'other random numbers (default: 0)',
    read: (what, text) => wholeNumber(`${what} `, text, 0, 2 ** 31 - 1),
  },
  vlan: {
    name: 'vlan',
    value: '<id>',
    description: 'VLAN tag, or two, the outer one first (802.1ad): 100,200',
    read: (what, text) => readVlans(what, text),
  },
  tcpFlags: {
    name: 'tcp-flags',
    value: '<list>',
    description: `of TCP: ${TCP_FLAGS.join(', ')}, joined by commas (default: ack)`,
    read: (what, text) =>
      list(
        what,
        text,
        TCP_FLAGS.length,
        (part) => TcpFlag[oneOf(what, part.toUpperCase(), FLAG_NAMES)],
      ).reduce((all, flag) => all | flag, 0),
  },
  udpChecksum: {
    name: 'udp-checksum',
    value: '<on|off>',
    description: 'UDP has its checksum (default: IPv6 on, IPv4 off)',
    choices: ['on', 'off'],
    read: (what, text) => oneOf(what, text, ['on', 'off']) === 'on',
  },
  vxlan: {
    name: 'vxlan',
    value: '<vni>',
    description: 'carry the packets in VXLAN, in this network',
    read: (what, text) => wholeNumber(`${what} `, text, 0, MAX_VNI),
  },
  outerSrcIp: {
    name: 'outer-src-ip',
    value: '<ip>',
    description: 'of VXLAN: outer source address, IPv4 or IPv6 (default: 10.0.0.1)',
    read: readAddress,
  },
  outerDstIp: {
    name: 'outer-dst-ip',
    value: '<ip>',
    description: 'outer destination address (default: 10.0.0.2)',
    read: readAddress,
  },
  outerSrcMac: {
    name: 'outer-src-mac',
    value: '<mac>',
    description: 'outer source MAC address',
    read: (_, text) => parseMac(text),
  },
  outerDstMac: {
    name: 'outer-dst-mac',
    value: '<mac>',
    description: 'outer destination MAC address',
    read: (_, text) => parseMac(text),
  },
  outerVlan: {
    name: 'outer-vlan',
    value: '<id>',
    description: 'outer VLAN tag, or two',
    read: (what, text) => readVlans(what, text),
  },
}

const FLAG_NAMES = Object.keys(TcpFlag) as (keyof typeof TcpFlag)[]

function readVlans(what: string, text: string): readonly number[] {
  return list(what, text, MAX_VLAN_TAGS, (part) => wholeNumber(`${what} `, part, 1, MAX_VLAN_ID))
}

function readAddress(what: string, text: string): Uint8Array {
  const { first, count } = readAddresses(what, text)
  if (count > 1) throw usageError(`${what} ${text} is a range`, 'give one address; ranges are for inner ones')
  return first
}

function list<Value>(
  what: string,
  text: string,
  most: number,
  read: (part: string) => Value,
): readonly Value[] {
  const parts = text.split(',')
  if (parts.length > most)
    throw usageError(`${what} ${text} is not valid`, `give at most ${most}, joined by commas`)
  return parts.map(read)
}

function oneOf<Name extends string>(what: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text)
  if (found !== undefined) return found
  throw usageError(`${what} ${text} is not valid`, `give one of ${names.join(', ')}`)
}
