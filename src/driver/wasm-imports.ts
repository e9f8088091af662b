/** What transmit loops in WebAssembly call when something is not as usual, whoever's rings they work on. */
import type { PacketMemory } from '../memory/packets.ts'
import { refuseStranger, refuseSurplus, refuseTooLong } from '../memory/refusals.ts'

export function importsOfTransmit(memory: PacketMemory): Readonly<Record<string, unknown>> {
  const { size, longest } = memory
  return {
    padPacket: (id: number, length: number) => memory.pad(id, length),
    refuseStranger: (id: number) => refuseStranger('transmit', id, size.length),
    refuseTooLong: (id: number) => refuseTooLong(id, size[id], longest),
    refuseSurplus,
  }
}
