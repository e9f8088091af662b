/** Packet memory for tests of what fills and reads packets. */
import { PacketMemory, packetMemoryBytes } from '../../../src/memory/packets.ts'

export const POOL = 1
export const POOL_SHIFT = 5

export function makeMemory(): PacketMemory {
  const bytes = packetMemoryBytes(11, POOL_SHIFT, 2)
  const spec = { address: 0n, pageIovas: new Float64Array(1), pageBytes: bytes, pageOffset: 0 }
  return new PacketMemory(
    { ...spec, bufferShift: 11, poolShift: POOL_SHIFT, pools: 2 },
    new ArrayBuffer(bytes),
  )
}

/** The bytes of packet `id`: its own, not a copy. */
export function packet(memory: PacketMemory, id: number): Buffer {
  return Buffer.from(memory.u8.buffer, memory.dataOffset(id), memory.size[id])
}
