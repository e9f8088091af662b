/**
 * The headers of segments of TCP, or datagrams of UDP, that are written as one: lengths and checksums of the whole. The kernel cuts it again where it has to
 * (GSO), and completes the checksum or believes it.
 */
import { read16, write16 } from '../../packet/big-endian.ts'
import { addToSum, completeChecksum, finishSum, internetChecksum } from '../../packet/checksum.ts'
import { EtherType, HEADER_BYTES, TYPE } from '../../packet/ethernet.ts'
import { IpProtocol } from '../../packet/ipv4.ts'
import { TcpFlag } from '../../packet/tcp.ts'
import { TCP_CHECKSUM, UDP_CHECKSUM } from '../../packet/segmentation.ts'
import { UDP_BYTES, V4_TCP, V6_TCP } from './words.ts'
import { GSO_TCP4, GSO_TCP6, GSO_UDP, NEEDS_CHECKSUM, writeNetHeader } from './net-header.ts'

/** Bytes from the frame's first to those of IP's header, without options. */
const V4 = { length: 16, protocol: 23, checksum: 24, addresses: 26 } as const
const V6 = { length: 18, protocol: 20, addresses: 22 } as const
const TCP_FLAGS = 13
const UDP_LENGTH = 4

/** Makes the headers at `at`, `headerBytes` of them, those of `payload` bytes; `own`: bytes of the packet that is there. */
export function joinHeaders(
  bytes: Uint8Array,
  at: number,
  headerBytes: number,
  payload: number,
  own: number,
  pushes: number,
): void {
  const isV4 = read16(bytes, at + TYPE) === EtherType.IPV4
  const transport = isV4 ? V4_TCP : V6_TCP
  // No header of TCP is as short as UDP's.
  const isUdp = headerBytes === transport + UDP_BYTES
  if (pushes !== 0) bytes[at + transport + TCP_FLAGS] |= TcpFlag.PSH
  writeLengths(bytes, at, isV4, isUdp, headerBytes + payload)
  let gso = isV4 ? GSO_TCP4 : GSO_TCP6
  if (isUdp) gso = GSO_UDP
  const field = isUdp ? UDP_CHECKSUM : TCP_CHECKSUM
  writeNetHeader(bytes, at, NEEDS_CHECKSUM, gso, headerBytes, own - headerBytes, transport, field)
}

/** Undoes that for a packet of `own` bytes, and completes its checksum. Only the last of several has had PSH. */
export function partHeaders(bytes: Uint8Array, at: number, own: number): void {
  const isV4 = read16(bytes, at + TYPE) === EtherType.IPV4
  const isUdp = bytes[at + (isV4 ? V4.protocol : V6.protocol)] === IpProtocol.UDP
  const transport = isV4 ? V4_TCP : V6_TCP
  if (!isUdp) bytes[at + transport + TCP_FLAGS] &= ~TcpFlag.PSH
  writeLengths(bytes, at, isV4, isUdp, own)
  completeChecksum(bytes, at + transport, own - transport, isUdp ? UDP_CHECKSUM : TCP_CHECKSUM)
}

/** For a frame of `length` bytes: IP's, UDP's, and the sum of the pseudo header. */
function writeLengths(bytes: Uint8Array, at: number, isV4: boolean, isUdp: boolean, length: number): void {
  const transport = isV4 ? V4_TCP : V6_TCP
  const addresses = isV4 ? V4.addresses : V6.addresses
  if (isV4) {
    write16(bytes, at + V4.length, length - HEADER_BYTES)
    write16(bytes, at + V4.checksum, 0)
    write16(bytes, at + V4.checksum, internetChecksum(bytes, at + HEADER_BYTES, V4_TCP - HEADER_BYTES))
  } else write16(bytes, at + V6.length, length - V6_TCP)
  if (isUdp) write16(bytes, at + transport + UDP_LENGTH, length - transport)
  const protocol = isUdp ? IpProtocol.UDP : IpProtocol.TCP
  const sum = addToSum(protocol + length - transport, bytes, at + addresses, transport - addresses)
  write16(bytes, at + transport + (isUdp ? UDP_CHECKSUM : TCP_CHECKSUM), ~finishSum(sum))
}
