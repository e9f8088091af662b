/** Instances of the loops in wasm/, and what these call. */
import type { PacketMemory } from '../../memory/packets.ts'
import { refuseStranger, refuseSurplus, refuseTooLong } from '../../memory/refusals.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'

/** What the transmit loop calls when something is not as usual. */
export function importsOfTx(packets: PacketMemory): Record<string, unknown> {
  const { size, longest } = packets
  return {
    padPacket: (id: number, length: number) => packets.pad(id, length),
    refuseStranger: (id: number) => refuseStranger('transmit', id, size.length),
    refuseTooLong: (id: number) => refuseTooLong(id, size[id], longest),
    refuseSurplus,
  }
}

/** Each ring has an instance of its own, whose globals are the ring's state. */
export function instantiate(
  code: Uint8Array<ArrayBuffer>,
  { memory }: WasmSpace,
  tx: Record<string, unknown> = {},
): unknown {
  return new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory }, tx }).exports
}
