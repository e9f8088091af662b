/** Packets of an app that asks for all offloads there are, and what is to leave in consequence. */
import { OffloadFlag } from '../../src/memory/offloads.ts'
import type { PacketMemory } from '../../src/memory/packets.ts'
import { type Large, build, cutByHand } from '../packet/large-packets.ts'

export interface Asked {
  readonly packet: Large
  /** The tag it is to get. */
  readonly vlan: number | null
  /** TCP is to be cut. */
  readonly cut: boolean
  /** The checksum of the IPv4 header isn't there yet. */
  readonly ip?: boolean
}

/** Takes a buffer of `pool`, writes the packet into it and asks for everything. */
export function ask(memory: PacketMemory, pool: number, { packet, vlan, cut, ip = true }: Asked): number {
  const { offloads } = memory
  if (offloads === null) throw new Error('no offloads')
  const one = new Int32Array(1)
  expect(memory.allocate(pool, one, 1)).toBe(1)
  const [id] = one
  expect([offloads.flags[id], offloads.segment[id]]).toEqual([0, 0])
  const { frame, checksumStart, checksumOffset, headerBytes } = build(packet, true, ip)
  memory.u8.set(frame, memory.dataOffset(id))
  memory.size[id] = frame.length
  const { CHECKSUM_OPEN, IP_OPEN, VLAN } = OffloadFlag
  offloads.flags[id] = CHECKSUM_OPEN | (packet.v6 || !ip ? 0 : IP_OPEN) | (vlan === null ? 0 : VLAN)
  offloads.checksumStart[id] = checksumStart
  offloads.checksumOffset[id] = checksumOffset
  offloads.segment[id] = cut && !packet.udp ? packet.segment : 0
  offloads.headerBytes[id] = headerBytes
  offloads.vlan[id] = vlan ?? 0
  return id
}

/** The frames that are to come of it. */
export function wanted({ packet, vlan, cut }: Asked): Uint8Array[] {
  const frames = packet.udp || !cut ? [build(packet, false).frame] : cutByHand(packet)
  return vlan === null ? frames : frames.map((frame) => tagged(frame, vlan))
}

export function tagged(frame: Uint8Array, tag: number): Uint8Array {
  return Uint8Array.of(...frame.subarray(0, 12), ...[0x81, 0, tag >> 8, tag & 0xff], ...frame.subarray(12))
}

export const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((one) => Buffer.from(one).toString('hex'))
