/**
 * The frames that pktgen and the `gen` wire send: IPv4/UDP in Ethernet, with the payload `ixy`, zeros, and a 32-bit
 * little-endian sequence number in the last four bytes.
 *
 * The UDP checksum is left out (0, RFC 768), so that only the sequence number changes from packet to packet.
 */
import { IxyError } from '../errors.ts'
import * as ethernet from './ethernet.ts'
import * as ipv4 from './ipv4.ts'
import * as udp from './udp.ts'
import { VlanTag } from './vlan.ts'

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

export interface FrameTemplate {
  readonly sourceMac: Uint8Array
  readonly destinationMac: Uint8Array
  readonly sourceIp: number
  readonly destinationIp: number
  readonly sourcePort: number
  readonly destinationPort: number
  /** null: untagged. */
  readonly vlanId: number | null
}

/** ixy's default packet. The MAC addresses are unicast and locally administered. */
export const DEFAULT_TEMPLATE: FrameTemplate = {
  sourceMac: Uint8Array.of(0x02, 0x69, 0x78, 0x79, 0x00, 0x01),
  destinationMac: Uint8Array.of(0x02, 0x69, 0x78, 0x79, 0x00, 0x02),
  sourceIp: ipv4.parseIpv4('10.0.0.1'),
  destinationIp: ipv4.parseIpv4('10.0.0.2'),
  sourcePort: 42,
  destinationPort: 1337,
  vlanId: null,
}

/** Longest frame without FCS: a VLAN tag may come on top of the 9014 bytes. */
export function maxFrameBytes(template: FrameTemplate): number {
  return ethernet.MAX_FRAME_BYTES + (template.vlanId === null ? 0 : ethernet.VLAN_TAG_BYTES)
}

/**
 * Throws IXY_ERR_USAGE unless `size` is 60 to 9014 (9018 with VLAN), `flows` 1 to 16384 and few enough for the source
 * ports that are left, ports 0 to 65535 and the VLAN id 1 to 4094.
 */
export function checkTemplate(template: FrameTemplate, size: number, flows: number): void {
  const { sourcePort, destinationPort, vlanId } = template
  inRange('frame size', size, ethernet.MIN_FRAME_BYTES, maxFrameBytes(template))
  inRange('source port', sourcePort, 0, 0xffff)
  inRange('destination port', destinationPort, 0, 0xffff)
  inRange(
    `number of flows from source port ${sourcePort} on`,
    flows,
    1,
    Math.min(MAX_FLOWS, 0x10000 - sourcePort),
  )
  if (vlanId !== null) inRange('VLAN id', vlanId, 1, ethernet.MAX_VLAN_ID)
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
  const at = payloadOffset(template)
  if (at + PAYLOAD.length + TAIL_BYTES > size) throw new RangeError(`a frame of ${size} bytes is too short`)
  const header = new ethernet.EthernetFrame()
  header.wrap(frame)
  header.setSource(template.sourceMac)
  header.setDestination(template.destinationMac)
  header.type = ethernet.EtherType.IPV4
  if (template.vlanId !== null) {
    header.type = ethernet.EtherType.VLAN
    const tag = new VlanTag()
    tag.wrap(frame, header.payloadOffset)
    tag.id = template.vlanId
    tag.type = ethernet.EtherType.IPV4
  }
  const ip = new ipv4.Ipv4Packet()
  const ipOffset = at - udp.HEADER_BYTES - ipv4.HEADER_BYTES
  ip.create(frame, ipOffset, size - ipOffset)
  ip.protocol = ipv4.IpProtocol.UDP
  ip.source = template.sourceIp
  ip.destination = template.destinationIp
  ip.fillChecksum()
  const datagram = new udp.UdpDatagram()
  datagram.create(frame, ip.payloadOffset, ip.payloadLength)
  datagram.sourcePort = template.sourcePort + flow
  datagram.destinationPort = template.destinationPort
  frame.set(PAYLOAD, at)
  return frame
}

/**
 * What is sent, packet by packet: packet k has the size of turn k mod turns.length and belongs to flow k mod `flows`.
 * Frames differ by size and source port only, so one frame per size is all there is to build. Can be posted to a worker.
 */
export interface FramePlan {
  /** A frame of flow 0 for each size. */
  readonly templates: readonly Uint8Array[]
  /** Indexes into `templates`. */
  readonly turns: readonly number[]
  readonly flows: number
  /** Source port of flow 0, and where it stands in every template, big-endian. No checksum covers it. */
  readonly firstPort: number
  readonly portOffset: number
}

/** `sizes` are taken in turn: one size, or IMIX_SIZES. */
export function planFrames(template: FrameTemplate, sizes: readonly number[], flows: number): FramePlan {
  const different = [...new Set(sizes)]
  return {
    templates: different.map((size) => buildFrame(template, size)),
    turns: sizes.map((size) => different.indexOf(size)),
    flows,
    firstPort: template.sourcePort,
    portOffset: payloadOffset(template) - udp.HEADER_BYTES,
  }
}

/** Where the payload `ixy` begins. */
export function payloadOffset(template: Pick<FrameTemplate, 'vlanId'>): number {
  const tag = template.vlanId === null ? 0 : ethernet.VLAN_TAG_BYTES
  return ethernet.HEADER_BYTES + tag + ipv4.HEADER_BYTES + udp.HEADER_BYTES
}
