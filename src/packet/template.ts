/**
 * The frames that pktgen and the `gen` wire send: headers, the payload `ixy`, zeros, and a 32-bit little-endian sequence number
 * in the last four bytes.
 *
 * By default they are IPv4/UDP in Ethernet, and the UDP checksum is left out (0, RFC 768), so that only the sequence number
 * changes from packet to packet.
 */
import { FIRST_ENTROPY_PORT } from './entropy.ts'
import { IxyError } from '../errors.ts'
import * as ethernet from './ethernet.ts'
import * as headers from './headers.ts'
import { TcpFlag } from './tcp.ts'
import { VXLAN_PORT } from './vxlan.ts'

/**
 * Flow n uses source port `sourcePort + n`: enough for RSS, which hashes addresses and, where enabled, ports, and the
 * IPv4 header with its checksum is the same for all of them.
 */
export const MAX_FLOWS = 16384

/**
 * Frame sizes without FCS of the usual internet mix, 7:4:1. With FCS: 64, 570 and 1518 bytes, as hardware testers name
 * it. (The older variant, IP packets of 40, 576 and 1500 bytes, has 594 in the middle.) Spread evenly over 12 frames;
 * the average is 349.8 bytes.
 */
export const IMIX_SIZES: readonly number[] = [60, 566, 60, 60, 566, 60, 1514, 60, 566, 60, 566, 60]

/** Bytes of `ixy` and the sequence number. */
const TAIL_BYTES = 4
const PAYLOAD = [0x69, 0x78, 0x79]

/** Where a frame is from and to. */
export interface Ends {
  readonly sourceMac: Uint8Array
  readonly destinationMac: Uint8Array
  /** Ids of VLAN tags, outermost first. */
  readonly vlans: readonly number[]
  /** 4 bytes or 16, as the other one. */
  readonly sourceIp: Uint8Array
  readonly destinationIp: Uint8Array
}

export const PROTOCOLS = ['udp', 'tcp', 'icmp'] as const

export interface FrameTemplate extends Ends {
  readonly protocol: (typeof PROTOCOLS)[number]
  /** Not of ICMP. */
  readonly sourcePort: number
  readonly destinationPort: number
  /** Of TCP, see `TcpFlag`. */
  readonly tcpFlags: number
  /** UDP has one. */
  readonly udpChecksum: boolean
  /** The frame is carried in VXLAN: the outer headers. */
  readonly vxlan: (Ends & { readonly vni: number }) | null
}

/** ixy's default packet. The MAC addresses are unicast and locally administered. */
export const DEFAULT_TEMPLATE: FrameTemplate = {
  sourceMac: Uint8Array.of(0x02, 0x69, 0x78, 0x79, 0x00, 0x01),
  destinationMac: Uint8Array.of(0x02, 0x69, 0x78, 0x79, 0x00, 0x02),
  vlans: [],
  sourceIp: Uint8Array.of(10, 0, 0, 1),
  destinationIp: Uint8Array.of(10, 0, 0, 2),
  protocol: 'udp',
  sourcePort: 42,
  destinationPort: 1337,
  tcpFlags: TcpFlag.ACK,
  udpChecksum: false,
  vxlan: null,
}

/** The headers of a frame of flow `flow`, outermost first. */
export function headersOf(template: FrameTemplate, flow = 0): headers.Header[] {
  const { vxlan } = template
  const inner = [...endsOf(template), transportOf(template, flow)]
  if (vxlan === null) return inner
  // Over IPv4 without checksum (RFC 7348 §5); over IPv6 few accept that.
  const udp = headers.udp(FIRST_ENTROPY_PORT, VXLAN_PORT, vxlan.sourceIp.length === 16)
  return [...endsOf(vxlan), udp, headers.vxlan(vxlan.vni), ...inner]
}

function endsOf({ sourceMac, destinationMac, vlans, sourceIp, destinationIp }: Ends): headers.Header[] {
  return [
    headers.ethernet(sourceMac, destinationMac),
    ...headers.vlans(vlans),
    headers.ip(sourceIp, destinationIp),
  ]
}

function transportOf(template: FrameTemplate, flow: number): headers.Header {
  const { protocol, sourceIp, sourcePort, destinationPort, tcpFlags, udpChecksum } = template
  if (protocol === 'icmp') return headers.echo(sourceIp.length === 4 ? 4 : 6, ECHO_IDENTIFIER)
  if (protocol === 'tcp') return headers.tcp(sourcePort + flow, destinationPort, tcpFlags)
  return headers.udp(sourcePort + flow, destinationPort, udpChecksum)
}

/** Of ICMP echo requests: `ix`. */
const ECHO_IDENTIFIER = 0x6978

/** Longest frame without FCS behind whose tags `mtu` bytes may stand: the outermost tag comes on top, as buffers have room for one. */
export function maxFrameBytes(template: FrameTemplate, mtu = ethernet.MAX_MTU): number {
  const { vlans } = template.vxlan ?? template
  return ethernet.HEADER_BYTES + mtu + (vlans.length === 0 ? 0 : ethernet.VLAN_TAG_BYTES)
}

/** Shortest frame without FCS that has room for all headers, `ixy` and the sequence number. */
export function minFrameBytes(template: FrameTemplate): number {
  return Math.max(ethernet.MIN_FRAME_BYTES, payloadOffset(template) + PAYLOAD.length + TAIL_BYTES)
}

/**
 * Throws IXY_ERR_USAGE unless `size` is 60 to 9014 (9018 with VLAN; with longer headers than IPv4's and UDP's at least as much as
 * they need), `flows` 1 to 16384 and few enough for the source ports that are left, ports 0 to 65535 and VLAN ids 1 to 4094.
 */
export function checkTemplate(template: FrameTemplate, size: number, flows: number): void {
  const { sourcePort, destinationPort, vlans } = template
  inRange('frame size', size, minFrameBytes(template), maxFrameBytes(template))
  inRange('source port', sourcePort, 0, 0xffff)
  inRange('destination port', destinationPort, 0, 0xffff)
  inRange(
    `number of flows from source port ${sourcePort} on`,
    flows,
    1,
    Math.min(MAX_FLOWS, 0x10000 - sourcePort),
  )
  for (const id of vlans) inRange('VLAN id', id, 1, ethernet.MAX_VLAN_ID)
}

function inRange(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new IxyError(
    'IXY_ERR_USAGE',
    `${what} ${value} is not possible`,
    `give a whole number from ${min} to ${max}`,
  )
}

/**
 * A new frame of `size` bytes (without FCS) of flow `flow`, sequence number 0.
 * Throws RangeError if the headers and the sequence number don't fit; see checkTemplate() for what a user may ask.
 */
export function buildFrame(template: FrameTemplate, size: number, flow = 0): Uint8Array {
  const frame = new Uint8Array(size)
  const all = headersOf(template, flow)
  const at = headers.headerBytes(all)
  if (at + PAYLOAD.length + TAIL_BYTES > size) throw new RangeError(`a frame of ${size} bytes is too short`)
  headers.writeHeaders(all, frame)
  frame.set(PAYLOAD, at)
  headers.fillChecksums(all, frame)
  return frame
}

/** Where the payload `ixy` begins. */
export function payloadOffset(template: FrameTemplate): number {
  return headers.headerBytes(headersOf(template))
}
