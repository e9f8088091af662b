/** What can be asked of a device, or of the software in its place. */
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../packet/ethernet.ts'
import {
  IPV4_HEADER,
  MOST_TCP_HEADER,
  Segmentation,
  TCP_CHECKSUM,
  networkStart,
} from '../packet/segmentation.ts'
import { OffloadFlag, type PacketOffloads } from './offloads.ts'
import type { PacketMemory } from './packets.ts'

/** Most packets that one is cut into: the smallest ring has room for so many. */
export const MOST_SEGMENTS = 63
/** Where the TCP header of what is cut begins at the latest: the 82599 takes IP headers of up to 511 bytes (§7.2.3.2.3). */
const MOST_START = HEADER_BYTES + 511

const { CHECKSUM_OPEN, IP_OPEN, VLAN } = OffloadFlag
const plan = new Segmentation()

/** Why what `offloads` says of packet `id` can't be done; '' if it can. Ids and sizes have been looked at. */
export function offloadFault(memory: PacketMemory, offloads: PacketOffloads, id: number): string {
  const flags = offloads.flags[id]
  const size = memory.size[id]
  if ((flags & CHECKSUM_OPEN) !== 0) {
    const start = offloads.checksumStart[id]
    const field = start + offloads.checksumOffset[id]
    if (start < HEADER_BYTES || field + 2 > size)
      return `its open checksum is said to be at byte ${field}, summed from byte ${start} on, of a packet of ${size} bytes`
  }
  if ((flags & VLAN) !== 0 && (size < HEADER_BYTES || size + VLAN_TAG_BYTES > memory.longest))
    return `a VLAN tag is to be put into a packet of ${size} bytes, which takes ${HEADER_BYTES} to ${memory.longest - VLAN_TAG_BYTES}`
  if ((flags & IP_OPEN) !== 0 && !hasIpv4(memory, id))
    return 'the checksum of its IPv4 header is to be computed, but there is no IPv4 header'
  return offloads.segment[id] === 0 ? '' : segmentFault(memory, offloads, id)
}

/** A whole IPv4 header behind Ethernet's. */
function hasIpv4(memory: PacketMemory, id: number): boolean {
  const { u8, size } = memory
  const frame = memory.dataOffset(id)
  const start = networkStart(u8, frame, size[id])
  if (start < 0 || u8[frame + start] >> 4 !== 4) return false
  const bytes = (u8[frame + start] & 0xf) << 2
  return bytes >= IPV4_HEADER && start + bytes <= size[id]
}

function segmentFault(memory: PacketMemory, offloads: PacketOffloads, id: number): string {
  if (offloads.pool < 0) return "it has a segment, which is for apps whose offloads are 'uses'"
  const { flags, checksumStart, checksumOffset, segment, headerBytes } = offloads
  if ((flags[id] & CHECKSUM_OPEN) === 0 || checksumOffset[id] !== TCP_CHECKSUM)
    return 'it has a segment, but no open checksum of TCP'
  const { u8, size } = memory
  const [start, headers] = [checksumStart[id], headerBytes[id]]
  if (start > MOST_START)
    return `it has a segment and a TCP header at byte ${start}, which is to be within ${MOST_START}`
  if (headers > start + MOST_TCP_HEADER)
    return `it has a segment and a TCP header of ${headers - start} bytes (headerBytes - checksumStart)`
  if (!plan.aim(u8, memory.dataOffset(id), size[id], start, headers, segment[id]))
    return `it has a segment, but with ${size[id]} bytes no IP packet with TCP from byte ${start} to its payload at byte ${headers}`
  if (plan.count > MOST_SEGMENTS)
    return `its segments of ${segment[id]} bytes are ${plan.count} packets, ${MOST_SEGMENTS} at most are made of one`
  return ''
}
