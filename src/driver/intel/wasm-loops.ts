/** The code of wasm/: one instance for each WebAssembly memory, which works on all rings of the worker. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'
import { importsOfTransmit } from '../wasm-imports.ts'
import { refusePort } from '../wasm-ports.ts'
import code from './wasm/entry.wasm'

/** What wasm/entry.ts exports. `ring`, `passes`: where their states are. */
export interface WasmLoops {
  startRx(
    ring: number,
    descriptors: number,
    ids: number,
    entries: number,
    pool: number,
    bottom: number,
    longest: number,
  ): void
  receive(ring: number, batch: number, limit: number): number
  startTx(
    ring: number,
    descriptors: number,
    ids: number,
    batches: number,
    entries: number,
    poolShift: number,
    buffers: number,
    longest: number,
  ): void
  transmit(ring: number, batch: number, count: number): number
  room(ring: number): number
  pending(ring: number): number
  startBuffers(buffers: number, bufferShift: number): void
  move(passes: number, count: number): number
  startPorts(ports: number, count: number): void
  receiveAt(port: number, batch: number, limit: number): number
  roomAt(port: number): number
  transmitAt(port: number, batch: number, count: number): number
  generate(recipe: number, wanted: number): number
}

const instances = new WeakMap<PacketMemory, WasmLoops>()

/** The instance for `packets`, which stand in `space`. */
export function wasmLoops(space: WasmSpace, packets: PacketMemory): WasmLoops {
  const known = instances.get(packets)
  if (known !== undefined) return known
  const module = new WebAssembly.Module(code)
  const calls = importsOfTransmit(packets)
  const imports = { env: { memory: space.memory }, tx: calls, 'tx-ring': calls, ports: { refusePort } }
  const loops = new WebAssembly.Instance(module, imports).exports as unknown as WasmLoops
  loops.startBuffers(packets.u8.byteOffset, packets.bufferShift)
  instances.set(packets, loops)
  return loops
}
