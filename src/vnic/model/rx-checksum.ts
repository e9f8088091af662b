/** Receive checksum offload (82599 §7.1.11). */
import { fold, sumPseudoHeader, sumWords } from './checksum.ts'
import { crc32cWithout } from './crc32.ts'
import { type PacketInfo, PacketType } from './packet-info.ts'
import { RxStatus } from './rx-queue.ts'

const PROTOCOL_TCP = 6
const PROTOCOL_UDP = 17

/** Checks IP, TCP, UDP and SCTP checksums of the frame that `info` has parsed; returns status and error bits. */
export function verifyChecksums(u8: Uint8Array, offset: number, info: PacketInfo): number {
  const { l3, l4, headerBytes, end, type } = info
  if (l3 === 0) return 0
  const v6 = (type & PacketType.IPV6) !== 0
  let status = 0
  if (!v6) {
    status = RxStatus.IPCS
    if (fold(sumWords(u8, offset + l3, headerBytes)) !== 0xffff) return status | RxStatus.IPE
  }
  if (l4 === 0) return status
  if ((type & PacketType.SCTP) !== 0) {
    status |= RxStatus.L4CS
    return goodSctp(u8, offset + l4, end - l4) ? status : status | RxStatus.L4E
  }
  const udp = (type & PacketType.UDP) !== 0
  // UDP without a checksum has nothing to check.
  if (udp && u8[offset + l4 + 6] === 0 && u8[offset + l4 + 7] === 0) return status
  const protocol = udp ? PROTOCOL_UDP : PROTOCOL_TCP
  const pseudo = sumPseudoHeader(u8, offset + l3, v6, protocol, end - l4)
  status |= udp ? RxStatus.L4CS | RxStatus.UDPCS : RxStatus.L4CS
  const good = fold(pseudo + sumWords(u8, offset + l4, end - l4)) === 0xffff
  return good ? status : status | RxStatus.L4E
}

/** The CRC is over the whole SCTP packet with zeros in its place, and stands there with the lowest byte first. */
function goodSctp(u8: Uint8Array, l4: number, length: number): boolean {
  const field = l4 + 8
  const crc = crc32cWithout(u8, l4, length, field)
  for (let i = 0; i < 4; i++) if (u8[field + i] !== ((crc >>> (8 * i)) & 0xff)) return false
  return true
}
