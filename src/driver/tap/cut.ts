/**
 * Cuts what the kernel has left whole (generic segmentation offload, GSO): one TCP segment or UDP datagram with the data of many, all of
 * one length but the last.
 *
 *     │ Ethernet IP TCP │ data data data dat │      →      │ Ethernet IP TCP │ data │   │ Ethernet IP TCP │ data │  …
 *                                                          seq, id                    seq + 1 · length, id + 1
 *
 * The checksum field holds the sum of the pseudo header, as it does when only the checksum is left to us (CHECKSUM_PARTIAL of Linux,
 * VIRTIO_NET_HDR_F_NEEDS_CSUM of virtio 1.2 §5.1.6.2); in each packet it is that again, for its length.
 */
import { read16, read32, write16, write32 } from '../../packet/big-endian.ts'
import { addToSum, finishSum, internetChecksum } from '../../packet/checksum.ts'
import { EtherType, HEADER_BYTES, TYPE, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { TcpFlag } from '../../packet/tcp.ts'

/** Offsets in headers: IPv4, RFC 791 §3.1; IPv6, RFC 8200 §3; TCP, RFC 9293 §3.1; UDP, RFC 768. */
const V4_LENGTH = 2
const V4_ID = 4
const V4_CHECKSUM = 10
const V4_BYTES = 20
const V6_LENGTH = 4
const V6_BYTES = 40
const TCP_SEQUENCE = 4
const TCP_DATA_OFFSET = 12
const TCP_FLAGS = 13
const TCP_CHECKSUM = 16
const TCP_BYTES = 20
const UDP_LENGTH = 4
const UDP_CHECKSUM = 6
const UDP_BYTES = 8

/** Where the IP header of the frame at `at` begins, from its first byte, behind VLAN tags; -1: it is no IP packet. */
export function networkHeader(bytes: Uint8Array, at: number, length: number): number {
  let network = HEADER_BYTES
  let type = read16(bytes, at + TYPE)
  while (type === EtherType.VLAN || type === EtherType.SERVICE_VLAN) {
    type = read16(bytes, at + network + 2)
    network += VLAN_TAG_BYTES
    if (network + V4_BYTES > length) return -1
  }
  return type === EtherType.IPV4 || type === EtherType.IPV6 ? network : -1
}

/**
 * Completes the checksum over `length` bytes of a packet at `at`: the sum begins `start` bytes in, the field, which holds the sum of
 * the pseudo header, is `offset` bytes behind. False, and nothing done, if that isn't in the packet.
 */
export function completeChecksum(
  bytes: Uint8Array,
  at: number,
  length: number,
  start: number,
  offset: number,
): boolean {
  if (start + offset + 2 > length) return false
  const checksum = finishSum(addToSum(0, bytes, at + start, length - start))
  // In UDP 0 means that there is none (RFC 768).
  write16(bytes, at + start + offset, checksum === 0 && offset === UDP_CHECKSUM ? 0xffff : checksum)
  return true
}

/** Knows the frame that is being cut, but for its bytes. */
export class Cutter {
  /** Bytes of all headers. */
  headerBytes = 0
  /** Bytes of data per packet. */
  segment = 0
  checksumStart = 0
  checksumOffset = 0
  private network = 0
  private isV4 = false
  private id = 0
  private sequence = 0
  private flags = 0
  /** The checksum field, less the length of the whole. */
  private pseudo = 0

  /**
   * Aims at the frame of `length` bytes, whose headers are at `at` in `bytes`. False if it can't be cut into packets with `segment`
   * bytes of data each.
   */
  aim(
    bytes: Uint8Array,
    at: number,
    length: number,
    { segment, checksumStart, checksumOffset }: Cut,
  ): boolean {
    const network = networkHeader(bytes, at, length)
    const isTcp = checksumOffset === TCP_CHECKSUM
    if (network < 0 || segment <= 0 || !(isTcp || checksumOffset === UDP_CHECKSUM)) return false
    const isV4 = bytes[at + network] >> 4 === 4
    if (checksumStart < network + (isV4 ? V4_BYTES : V6_BYTES)) return false
    if (checksumStart + (isTcp ? TCP_BYTES : UDP_BYTES) > length) return false
    const transport = at + checksumStart
    const transportBytes = isTcp ? (bytes[transport + TCP_DATA_OFFSET] >> 4) << 2 : UDP_BYTES
    const headerBytes = checksumStart + transportBytes
    if (headerBytes >= length || (isTcp && transportBytes < TCP_BYTES)) return false
    this.headerBytes = headerBytes
    this.segment = segment
    this.checksumStart = checksumStart
    this.checksumOffset = checksumOffset
    this.network = network
    this.isV4 = isV4
    this.id = isV4 ? read16(bytes, at + network + V4_ID) : 0
    this.sequence = isTcp ? read32(bytes, transport + TCP_SEQUENCE) : 0
    this.flags = isTcp ? bytes[transport + TCP_FLAGS] : 0
    this.pseudo = read16(bytes, transport + checksumOffset) + (~(length - checksumStart) & 0xffff)
    return true
  }

  /** Makes the headers at `at`, a copy of the whole's, those of packet `index`, which has `data` bytes behind them. */
  write(bytes: Uint8Array, at: number, index: number, data: number, isLast: boolean): void {
    const { network, headerBytes, checksumStart, checksumOffset, flags } = this
    const ip = at + network
    if (this.isV4) {
      write16(bytes, ip + V4_LENGTH, headerBytes - network + data)
      write16(bytes, ip + V4_ID, this.id + index)
      write16(bytes, ip + V4_CHECKSUM, 0)
      write16(bytes, ip + V4_CHECKSUM, internetChecksum(bytes, ip, (bytes[ip] & 0x0f) << 2))
    } else write16(bytes, ip + V6_LENGTH, headerBytes - network - V6_BYTES + data)
    const transport = at + checksumStart
    const length = headerBytes - checksumStart + data
    write16(bytes, transport + checksumOffset, ~finishSum(this.pseudo + length))
    if (checksumOffset === UDP_CHECKSUM) {
      write16(bytes, transport + UDP_LENGTH, length)
      return
    }
    write32(bytes, transport + TCP_SEQUENCE, (this.sequence + Math.imul(index, this.segment)) | 0)
    // The end of the data is the end of the last packet; "congestion window reduced" is said once (RFC 3168 §6.1.2).
    let own = flags
    if (!isLast) own &= ~(TcpFlag.FIN | TcpFlag.PSH)
    if (index > 0) own &= ~TcpFlag.CWR
    bytes[transport + TCP_FLAGS] = own
  }
}

/** What a virtio_net_hdr says of a frame that is to be cut. */
export interface Cut {
  readonly segment: number
  readonly checksumStart: number
  readonly checksumOffset: number
}
