/** Queues as a step in WebAssembly calls them, which knows them by the numbers of their ports and arrays by their addresses. */
import { IxyError } from '../errors.ts'
import type { PacketMemory } from '../memory/packets.ts'
import type { WasmSpace } from '../memory/wasm-space.ts'
import type { RxQueue, TxQueue, WasmPorts } from './device.ts'

interface Ports {
  readonly ports: readonly { readonly rx: RxQueue; readonly tx: TxQueue }[]
  /** Packets that are received at once, at most. */
  readonly most: number
}

/** For queues of any kind: each call comes to JavaScript. */
export function portsInScript(space: WasmSpace, { ports, most }: Ports): WasmPorts {
  const words = new Int32Array(space.buffer)
  const received = new Int32Array(space.buffer, space.take(most * 4), most)
  const portOf = (port: number): Ports['ports'][number] => {
    if (port >>> 0 >= ports.length) refusePort(port, ports.length)
    return ports[port]
  }

  return {
    receive(port, batch, limit) {
      const at = wordAt(batch)
      const count = portOf(port).rx.receive(received, Math.min(limit, most))
      for (let i = 0; i < count; i++) words[at + i] = received[i]
      return count
    },
    room: (port) => portOf(port).tx.room(),
    transmit: (port, batch, count) => portOf(port).tx.transmit(words, wordAt(batch), Math.max(0, count)),
    announce: () => undefined,
  }
}

/** PacketMemory.allocate() and free() likewise. */
export function poolsInScript(
  space: WasmSpace,
  memory: PacketMemory,
): {
  allocate(pool: number, batch: number, count: number): number
  free(batch: number, count: number): void
} {
  const words = new Int32Array(space.buffer)
  const allocated = new Int32Array(space.buffer, space.take(ALLOCATED * 4), ALLOCATED)

  return {
    allocate(pool, batch, count) {
      const at = wordAt(batch)
      const taken = memory.allocate(pool, allocated, Math.max(0, Math.min(count, ALLOCATED)))
      for (let i = 0; i < taken; i++) words[at + i] = allocated[i]
      return taken
    },
    free: (batch, count) => {
      if (count > 0) memory.free(words, wordAt(batch), count)
    },
  }
}

/** Buffers that are allocated at once, at most. */
const ALLOCATED = 512

/** Index of the 32-bit word at an address. */
function wordAt(address: number): number {
  if ((address & 3) !== 0)
    throw new IxyError(
      'IXY_ERR_BUFFER',
      `a batch at address ${address >>> 0}: it is made of 32-bit words`,
      'put it at a multiple of 4',
    )
  return address >>> 2
}

export function refusePort(port: number, ports: number): never {
  throw new IxyError(
    'IXY_ERR_BUFFER',
    `there is no port ${port}: they go from 0 to ${ports - 1}`,
    'correct what the step asks for',
  )
}
