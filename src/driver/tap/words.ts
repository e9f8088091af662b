/**
 * Frames of plain IPv4 and IPv6 as 16-bit words of this machine, which is little-endian: fields are compared as they are, and
 * swapped where they are calculated with.
 */
import { EtherType, HEADER_BYTES } from '../../packet/ethernet.ts'
import { TcpFlag } from '../../packet/tcp.ts'

/** Where the header of TCP or UDP begins, bytes from the frame's first. */
export const V4_TCP = HEADER_BYTES + 20
export const V6_TCP = HEADER_BYTES + 40
export const TCP_BYTES = 20
export const UDP_BYTES = 8

/** Network byte order, 16 bits. */
export const swap = (value: number): number => ((value & 0xff) << 8) | (value >>> 8)

export const PSH = TcpFlag.PSH << 8
export const TYPE_V4 = swap(EtherType.IPV4)
export const TYPE_V6 = swap(EtherType.IPV6)
export const DONT_FRAGMENT = swap(0x4000)

/** Numbers of words: Ethernet's, IP's, and TCP's and UDP's from their begin. */
export const TYPE = 6
export const IP = 7
export const V4 = { length: 8, id: 9, fragment: 10, ttl: 11, addresses: 13 } as const
export const V6 = { length: 9, hops: 10, addresses: 11 } as const
export const UDP = { length: 2, checksum: 3 } as const
export const TCP = { sequence: 2, acknowledgement: 4, flags: 6, checksum: 8 } as const
