/** Where a stream's packets have what the probe reads and writes, and whether the headers in front of it are as they were sent. */
import type { Bytes } from '../../packet/bytes.ts'
import { addToSum, finishSum, internetChecksum } from '../../packet/checksum.ts'
import { EtherType, HEADER_BYTES, isVlanTag, MAX_VLAN_TAGS, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { headerBytes } from '../../packet/headers.ts'
import { HEADER_BYTES as IPV4_BYTES, IpProtocol } from '../../packet/ipv4.ts'
import { HEADER_BYTES as IPV6_BYTES } from '../../packet/ipv6.ts'
import { type FrameTemplate, headersOf } from '../../packet/template.ts'

const IPV4_FIRST_BYTE = 0x45

/** Places are bytes in front of the payload. Can be posted to a worker. */
export interface ProbeLayout {
  /** EtherType behind the tags of the frame, which a switch may take off or put on. */
  readonly etherType: number
  /** From behind that EtherType to the payload. */
  readonly payload: number
  /** The (inner) IP header, and the header behind it. */
  readonly ip: number
  readonly ipVersion: number
  readonly transport: number
  readonly protocol: number
  /** 32 bits that tell flows apart: ports, or an echo's identifier and number. */
  readonly identity: number
  /** Checksum that the stamp must be added to: of the header in front of it, or of VXLAN's; 0 if there is none. */
  readonly checksum: number
  /** The header behind IP has a checksum. */
  readonly hasChecksum: boolean
}

export function probeLayoutOf(template: FrameTemplate): ProbeLayout {
  const headers = headersOf(template)
  const last = headers.length - 1
  const end = headerBytes(headers)
  const firstIp = headers.findIndex(({ kind }) => kind === 'ipv4' || kind === 'ipv6')
  const outerUdp = headers.findIndex(({ kind }) => kind === 'vxlan') - 1
  const transport = headers[last].bytes
  const place = (i: number): number => {
    const checksum = i < 0 ? null : headers[i].checksum
    return checksum === null ? 0 : end - headerBytes(headers, i) - checksum.at
  }
  // The sum of a segment with its own checksum doesn't change.
  const checksum = place(last) === 0 ? place(outerUdp) : place(last)
  return {
    etherType: headers[firstIp].type,
    payload: end - headerBytes(headers, firstIp),
    ip: transport + headers[last - 1].bytes,
    ipVersion: headers[last - 1].kind === 'ipv4' ? 4 : 6,
    transport,
    protocol: headers[last].type,
    identity: template.protocol === 'icmp' ? 4 : transport,
    checksum,
    hasChecksum: place(last) !== 0,
  }
}

/** Where the payload of the frame at `frame` begins, should it be one of the stream: behind up to two tags. */
export function payloadIn(u8: Uint8Array, frame: number, layout: ProbeLayout): number {
  let at = frame + HEADER_BYTES
  for (let tags = 0; tags < MAX_VLAN_TAGS && isVlanTag((u8[at - 2] << 8) | u8[at - 1]); tags++)
    at += VLAN_TAG_BYTES
  return at + layout.payload
}

/** Where the (inner) IP packet ends whose payload is at `payload`, as its header tells. */
export function endOf(u8: Uint8Array, payload: number, { ip, ipVersion }: ProbeLayout): number {
  const at = payload - ip
  if (ipVersion === 4) return at + u8[at + 2] * 256 + u8[at + 3]
  return at + IPV6_BYTES + u8[at + 4] * 256 + u8[at + 5]
}

/**
 * The headers are as the stream has them, and all checksums right. A router may have changed addresses and TTL, and a host have made a
 * reply of an echo request.
 */
export function headersHold({ u8 }: Bytes, payload: number, end: number, layout: ProbeLayout): boolean {
  const { ip, ipVersion, transport, protocol, hasChecksum } = layout
  const at = payload - ip
  const behind = payload - transport
  const length = end - behind
  let type = layout.etherType
  // Of the inner frame, in front of its IP header.
  if (ip !== layout.payload) type = ipVersion === 4 ? EtherType.IPV4 : EtherType.IPV6
  if (u8[at - 2] !== type >> 8 || u8[at - 1] !== (type & 0xff)) return false
  if (ipVersion === 4) {
    if (u8[at] !== IPV4_FIRST_BYTE || u8[at + 9] !== protocol) return false
    if (internetChecksum(u8, at, IPV4_BYTES) !== 0) return false
  } else if (u8[at] >> 4 !== 6 || u8[at + 6] !== protocol) return false
  if (protocol === IpProtocol.UDP) {
    if (u8[behind + 4] * 256 + u8[behind + 5] !== length) return false
    if (!hasChecksum) return (u8[behind + 6] | u8[behind + 7]) === 0
    if ((u8[behind + 6] | u8[behind + 7]) === 0) return false
  }
  const addresses = protocol === IpProtocol.ICMP ? 0 : ipVersion === 4 ? 8 : 32
  const start = addresses === 0 ? 0 : protocol + length
  return finishSum(addToSum(start, u8, behind - addresses, length + addresses)) === 0
}
