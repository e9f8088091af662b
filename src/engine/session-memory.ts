/** How much memory a session takes, and how it is divided. */
import type { Driver } from '../driver/driver.ts'
import { DmaArena } from '../memory/arena.ts'
import { type PacketMemorySpec, bufferShiftFor, packetMemoryBytes } from '../memory/packets.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../packet/ethernet.ts'
import type { Transport } from '../pci/transport.ts'
import type { RunOptions } from './types.ts'

/** How the packet memory of each worker is divided, see PacketMemorySpec. */
export type PacketShape = Pick<PacketMemorySpec, 'bufferShift' | 'poolShift' | 'pools'>

/** For a session of so many devices; `extraPools` come on top of one for each of them. */
export function shapeOf(
  { mtu, ringSize, extraPools }: Pick<RunOptions, 'mtu' | 'ringSize'> & { readonly extraPools: number },
  devices: number,
): PacketShape {
  return {
    bufferShift: bufferShiftFor(HEADER_BYTES + VLAN_TAG_BYTES + mtu),
    // A packet is in a receive ring, in a transmit ring or in a batch: twice the rings is never too few.
    poolShift: Math.log2(ringSize) + 2,
    pools: devices + extraPools,
  }
}

/** Memory for the packets of all workers and the rings of all devices. Nobody has it mapped yet. */
export function allocate(
  options: Pick<RunOptions, 'queues' | 'ringSize'>,
  { bufferShift, poolShift, pools }: PacketShape,
  devices: readonly { readonly driver: Driver; readonly transport: Transport }[],
): DmaArena {
  const packets = packetMemoryBytes(bufferShift, poolShift, pools)
  const rings = devices.reduce((sum, { driver }) => sum + driver.dmaBytes(options), 0)
  /** Buffers are aligned to their size. */
  const alignment = 1 << bufferShift
  const physical = devices.some(({ transport }) => transport.needsPhysicalAddresses)
  return new DmaArena(options.queues * (packets + alignment) + rings, physical)
}
