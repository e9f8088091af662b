/** What software does of offloads, packet by packet. Out of the hot loops: what comes here costs as much as the packet is long. */
import { OffloadFlag, type PacketOffloads } from '../memory/offloads.ts'
import { offloadFault } from '../memory/offload-rules.ts'
import type { PacketMemory } from '../memory/packets.ts'
import { refuseOffload, refuseStranger, refuseTooLong } from '../memory/refusals.ts'
import { read16, write16 } from '../packet/big-endian.ts'
import { completeChecksum, internetChecksum } from '../packet/checksum.ts'
import { EtherType, HEADER_BYTES, TYPE, VLAN_TAG_BYTES } from '../packet/ethernet.ts'
import { networkStart } from '../packet/segmentation.ts'

const { CHECKSUM_OPEN, IP_OPEN, VLAN } = OffloadFlag
/** Where an IPv4 header has its checksum. */
const IP_CHECKSUM = 10

/** What is asked for in transmit, of `flags`. */
export const ASKED = CHECKSUM_OPEN | IP_OPEN | VLAN

/** Throws IXY_ERR_BUFFER if one of `batch[from … end - 1]` can't be transmitted as it is. */
export function verifyOffloads(
  memory: PacketMemory,
  offloads: PacketOffloads,
  batch: Int32Array,
  from: number,
  end: number,
): void {
  const { size, longest } = memory
  for (let i = from; i < end; i++) {
    const id = batch[i]
    if (id >>> 0 >= size.length) refuseStranger('transmit', id, size.length)
    if (size[id] > longest) refuseTooLong(id, size[id], longest)
    const fault = offloadFault(memory, offloads, id)
    if (fault !== '') refuseOffload(id, fault)
  }
}

/** Completes the checksum of TCP or UDP, if it is open. */
export function closeChecksum(memory: PacketMemory, offloads: PacketOffloads, id: number): void {
  if ((offloads.flags[id] & CHECKSUM_OPEN) === 0) return
  const start = offloads.checksumStart[id]
  const header = memory.dataOffset(id) + start
  completeChecksum(memory.u8, header, memory.size[id] - start, offloads.checksumOffset[id])
  offloads.flags[id] &= ~CHECKSUM_OPEN
}

/** Computes the checksum of the IPv4 header, if it is open. */
export function closeIpChecksum(memory: PacketMemory, offloads: PacketOffloads, id: number): void {
  if ((offloads.flags[id] & IP_OPEN) === 0) return
  const { u8, size } = memory
  const frame = memory.dataOffset(id)
  const ip = frame + networkStart(u8, frame, size[id])
  write16(u8, ip + IP_CHECKSUM, 0)
  write16(u8, ip + IP_CHECKSUM, internetChecksum(u8, ip, (u8[ip] & 0xf) << 2))
  offloads.flags[id] &= ~IP_OPEN
}

/** The tag that the packet is to get, if it is. */
export function putTagIn(memory: PacketMemory, offloads: PacketOffloads, id: number): void {
  if ((offloads.flags[id] & VLAN) === 0) return
  const { u8, size } = memory
  const tag = memory.dataOffset(id) + TYPE
  u8.copyWithin(tag + VLAN_TAG_BYTES, tag, tag - TYPE + size[id])
  write16(u8, tag, EtherType.VLAN)
  write16(u8, tag + 2, offloads.vlan[id])
  size[id] += VLAN_TAG_BYTES
  offloads.checksumStart[id] += VLAN_TAG_BYTES
  offloads.headerBytes[id] += VLAN_TAG_BYTES
  offloads.flags[id] &= ~VLAN
}

/** The tag of 802.1Q of a received packet, if it has one. */
export function takeTagOut(memory: PacketMemory, offloads: PacketOffloads, id: number): void {
  const { u8, size } = memory
  const frame = memory.dataOffset(id)
  const end = frame + size[id]
  const tag = frame + TYPE
  if (size[id] < HEADER_BYTES + VLAN_TAG_BYTES || read16(u8, tag) !== EtherType.VLAN) return
  offloads.vlan[id] = read16(u8, tag + 2)
  offloads.flags[id] |= VLAN
  u8.copyWithin(tag, tag + VLAN_TAG_BYTES, end)
  size[id] -= VLAN_TAG_BYTES
  offloads.checksumStart[id] -= VLAN_TAG_BYTES
}
