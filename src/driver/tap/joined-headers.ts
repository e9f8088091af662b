/**
 * The headers of segments of TCP that are written as one: lengths and checksums of the whole. The kernel cuts it again where it has to
 * (GSO), and completes the checksum or believes it.
 */
import { read16, write16 } from '../../packet/big-endian.ts'
import { addToSum, finishSum, internetChecksum } from '../../packet/checksum.ts'
import { EtherType, HEADER_BYTES, TYPE } from '../../packet/ethernet.ts'
import { IpProtocol } from '../../packet/ipv4.ts'
import { TcpFlag } from '../../packet/tcp.ts'
import { TCP_CHECKSUM } from '../../packet/segmentation.ts'
import { V4_TCP, V6_TCP } from './join.ts'
import { GSO_TCP4, GSO_TCP6, NEEDS_CHECKSUM, writeNetHeader } from './net-header.ts'

/** Bytes from the frame's first to those of IP's header, without options. */
const V4 = { length: 16, checksum: 24, addresses: 26 } as const
const V6 = { length: 18, addresses: 22 } as const
const TCP_FLAGS = 13

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
  const tcp = isV4 ? V4_TCP : V6_TCP
  if (pushes !== 0) bytes[at + tcp + TCP_FLAGS] |= TcpFlag.PSH
  writeLengths(bytes, at, isV4, headerBytes + payload)
  const gso = isV4 ? GSO_TCP4 : GSO_TCP6
  writeNetHeader(bytes, at, NEEDS_CHECKSUM, gso, headerBytes, own - headerBytes, tcp, TCP_CHECKSUM)
}

/** Undoes that for a packet of `own` bytes, but for its checksum, which stays open. Only the last of several has had PSH. */
export function partHeaders(bytes: Uint8Array, at: number, own: number): number {
  const isV4 = read16(bytes, at + TYPE) === EtherType.IPV4
  const tcp = isV4 ? V4_TCP : V6_TCP
  bytes[at + tcp + TCP_FLAGS] &= ~TcpFlag.PSH
  writeLengths(bytes, at, isV4, own)
  return tcp
}

/** For a frame of `length` bytes: IP's, and the sum of the pseudo header, which includes TCP's. */
function writeLengths(bytes: Uint8Array, at: number, isV4: boolean, length: number): void {
  const tcp = isV4 ? V4_TCP : V6_TCP
  const addresses = isV4 ? V4.addresses : V6.addresses
  if (isV4) {
    write16(bytes, at + V4.length, length - HEADER_BYTES)
    write16(bytes, at + V4.checksum, 0)
    write16(bytes, at + V4.checksum, internetChecksum(bytes, at + HEADER_BYTES, V4_TCP - HEADER_BYTES))
  } else write16(bytes, at + V6.length, length - V6_TCP)
  const sum = addToSum(IpProtocol.TCP + length - tcp, bytes, at + addresses, tcp - addresses)
  write16(bytes, at + tcp + TCP_CHECKSUM, ~finishSum(sum))
}
