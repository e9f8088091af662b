import { OffloadFlag } from '../../memory/offloads.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { HEADER_BYTES } from '../../packet/ethernet.ts'
import { IpProtocol } from '../../packet/ipv4.ts'
import { IP, TCP, UDP, V4, V4_TCP, V6, swap } from './words.ts'

const { CHECKSUM_OPEN, CHECKSUM_GOOD } = OffloadFlag

/**
 * The checksums of packet `id` are right, as far as they aren't still open: of IPv4's header, and of TCP or UDP, whose header
 * begins `transport` bytes in. `halfs`: memory.u8 as words.
 */
export function isRight(
  memory: PacketMemory,
  halfs: Uint16Array,
  id: number,
  transport: number,
  isUdp: boolean,
): boolean {
  const { offloads } = memory
  const at = memory.dataOffset(id) >> 1
  const flags = offloads === null ? 0 : offloads.flags[id]
  if ((flags & CHECKSUM_GOOD) !== 0) return true
  const isV4 = transport === V4_TCP
  if (isV4 && sumOf(halfs, at + IP, V4_TCP - HEADER_BYTES, 0) !== 0xffff) return false
  if (offloads !== null && (flags & CHECKSUM_OPEN) !== 0) {
    const field = 2 * (isUdp ? UDP.checksum : TCP.checksum)
    return offloads.checksumStart[id] === transport && offloads.checksumOffset[id] === field
  }
  const length = memory.size[id] - transport
  const addresses = isV4 ? V4.addresses : V6.addresses
  const protocol = swap(isUdp ? IpProtocol.UDP : IpProtocol.TCP)
  const pseudo = sumOf(halfs, at + addresses, transport - 2 * addresses, swap(length) + protocol)
  return sumOf(halfs, at + (transport >> 1), length, pseudo) === 0xffff
}

/** One's complement sum of `length` bytes from word `at` on, in the machine's byte order, added to `sum`: 16 bits. */
function sumOf(halfs: Uint16Array, at: number, length: number, sum: number): number {
  const end = at + (length >> 1)
  for (let i = at; i < end; i++) sum += halfs[i]
  if ((length & 1) !== 0) sum += halfs[end] & 0xff
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}
