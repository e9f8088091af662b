/** How much memory a session takes, and how it is divided. */
import type { Driver } from '../driver/driver.ts'
import { DmaArena } from '../memory/arena.ts'
import type { OffloadUse } from '../memory/offloads.ts'
import { type PacketMemorySpec, bufferShiftFor, packetMemoryBytes } from '../memory/packets.ts'
import { poolShiftFor } from '../memory/pool-size.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../packet/ethernet.ts'
import type { Transport } from '../pci/transport.ts'
import type { RunOptions } from './types.ts'

/** How the packet memory of each worker is divided, see PacketMemorySpec. */
export type PacketShape = Pick<PacketMemorySpec, 'bufferShift' | 'poolShift' | 'pools'>

/**
 * For a session of so many devices; `extraPools` come on top of one for each of them, and the last one is for packets that
 * software cuts for an app that uses offloads. Throws IXY_ERR_USAGE if that is more than a
 * worker can have.
 */
export function shapeOf(
  {
    mtu,
    ringSize,
    batchSize,
    held,
    extraPools,
    offloads,
  }: Pick<RunOptions, 'mtu' | 'ringSize'> & {
    batchSize: number
    held: number
    extraPools: number
    offloads: OffloadUse | null
  },
  devices: number,
): PacketShape {
  const pools = devices + extraPools + (offloads === 'uses' ? 1 : 0)
  return {
    bufferShift: bufferShiftFor(HEADER_BYTES + VLAN_TAG_BYTES + mtu),
    poolShift: poolShiftFor({ ports: devices, ringSize, batchSize, held }, pools),
    pools,
  }
}

/** Memory for the packets of all workers and the rings of all devices. Nobody has it mapped yet. */
export function allocate(
  options: Pick<RunOptions, 'queues' | 'ringSize'>,
  shape: PacketShape,
  devices: readonly { readonly driver: Driver; readonly transport: Transport }[],
): DmaArena {
  const rings = devices.reduce((sum, { driver, transport }) => sum + driver.dmaBytes(options, transport), 0)
  const physical = devices.some(({ transport }) => transport.needsPhysicalAddresses)
  return new DmaArena(arenaBytes(options, shape, rings, physical), physical)
}

/** Bytes that allocate() asks for, where all rings together take `rings` of them. */
export function arenaBytes(
  { queues }: Pick<RunOptions, 'queues'>,
  { bufferShift, poolShift, pools }: PacketShape,
  rings: number,
  physical: boolean,
): number {
  const packets = packetMemoryBytes(bufferShift, poolShift, pools)
  /** Buffers are aligned to their size. */
  const alignment = 1 << bufferShift
  return queues * (packets + alignment) + rings + (physical ? unused(rings) : 0)
}

/** Bytes at the ends of huge pages that may stay free, as no ring, of 128 KiB at most, goes across one. */
function unused(rings: number): number {
  const ring = 2 ** 17
  const hugePage = 2 ** 21
  return (Math.ceil(rings / (hugePage - ring)) + 1) * ring
}
