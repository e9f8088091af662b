/** A card of the model, the driver on it, and what a worker has of it. */
import type { DeviceOptions } from '../../../src/driver/driver.ts'
import { attach } from '../../../src/driver/queue-registry.ts'
import type { QueuePair } from '../../../src/driver/queues.ts'
import { VirtioDevice } from '../../../src/driver/virtio/device.ts'
import { virtio } from '../../../src/driver/virtio/driver.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory, bufferShiftFor, packetMemoryBytes } from '../../../src/memory/packets.ts'
import { WasmSpace } from '../../../src/memory/wasm-space.ts'
import { BIT } from './model/network-card.ts'
import { CardTransport, type TransportOptions } from './model/transport.ts'

const COMMON_BITS = [BIT.MAC, BIT.STATUS, BIT.CTRL_VQ, BIT.CTRL_RX, BIT.CTRL_VLAN, BIT.CTRL_RX_EXTRA]
/** Offered by everybody, and not to be accepted: GUEST_CSUM, GUEST_TSO4, INDIRECT_DESC. */
const UNWANTED = [1, 7, 28]

export interface BenchOptions extends Partial<Omit<TransportOptions, 'offered'>>, Partial<DeviceOptions> {
  /** The loops in WebAssembly. */
  readonly wasm?: boolean
  /** Besides what all have. */
  readonly bits?: readonly number[]
  readonly offered?: readonly number[]
  /** Done with the transport before the driver gets it. */
  readonly prepare?: (transport: CardTransport) => void
}

export class Bench {
  readonly transport: CardTransport
  readonly warnings: string[] = []
  readonly device: VirtioDevice
  readonly memory: PacketMemory
  readonly pairs: readonly QueuePair[]
  private readonly arena: DmaArena

  constructor(options: BenchOptions = {}) {
    const { legacy = false, queueSize = 64, pairs = 1, disorder = false, bits = [], prepare } = options
    const { queues = 1, ringSize = 64, maxFrame = 1518 } = options
    const usual = [...COMMON_BITS, ...UNWANTED, ...bits, ...(legacy ? [] : [BIT.VERSION_1])]
    const { offered = usual, access = 'sysfs' } = options
    this.transport = new CardTransport({ legacy, offered, queueSize, pairs, disorder, access })
    prepare?.(this.transport)
    const bufferShift = bufferShiftFor(maxFrame)
    const pools = Math.max(2, queues)
    const poolShift = Math.max(9, Math.log2(ringSize) + 1)
    const bytes =
      packetMemoryBytes(bufferShift, poolShift, pools) + virtio.dmaBytes({ queues, ringSize }, this.transport)
    this.arena = new DmaArena(bytes + (1 << bufferShift), false)
    for (const segment of this.arena.segments) this.transport.mapDma(segment)
    const spec = this.arena.takePackets(bufferShift, poolShift, pools)
    this.device = new VirtioDevice(this.transport, this.arena, {
      queues,
      ringSize,
      bufferShift,
      maxFrame,
      model: { model: 'virtio-net', family: 'virtio-net' },
      interrupts: false,
      warn: (message) => this.warnings.push(message),
      ...options,
    })
    this.memory = new PacketMemory(spec, options.wasm === true ? new WasmSpace(this.arena.file) : null)
    this.pairs = this.device.queues.map((queue, i) => attach(queue, this.memory, i))
  }

  get card(): CardTransport['card'] {
    return this.transport.card
  }

  /** As a run begins. */
  start(): this {
    for (const pair of this.pairs) pair.start()
    this.device.start()
    this.transport.pump()
    return this
  }

  /** Packets that have come in, as bytes; they are the caller's. */
  take(pair = 0, limit = 64): { ids: Int32Array; frames: Uint8Array[] } {
    const batch = new Int32Array(limit)
    const ids = batch.subarray(0, this.pairs[pair].rx.receive(batch, limit))
    this.transport.pump()
    return { ids, frames: [...ids].map((id) => this.bytesOf(id)) }
  }

  bytesOf(id: number): Uint8Array {
    const at = this.memory.dataOffset(id)
    return this.memory.u8.slice(at, at + this.memory.size[id])
  }

  transmit(ids: Int32Array, pair = 0): number {
    const sent = this.pairs[pair].tx.transmit(ids, 0, ids.length)
    this.transport.pump()
    return sent
  }

  get breaches(): readonly string[] {
    return this.transport.card.breaches.found
  }

  release(): void {
    this.device.close()
    this.transport.release()
    this.arena.close()
  }
}

/** A frame that differs from every other. */
export function frame(length: number, serial: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (serial * 31 + i * 7 + (i >> 8)) & 0xff)
}

/** The kinds of queues and headers that there are. */
const KINDS: readonly (BenchOptions & { name: string })[] = [
  { name: 'modern, split', bits: [] },
  { name: 'modern, split, event index, merging', bits: [BIT.EVENT_IDX, BIT.MRG_RXBUF] },
  { name: 'modern, split, disorder', bits: [BIT.EVENT_IDX], disorder: true },
  { name: 'modern, packed', bits: [BIT.RING_PACKED] },
  { name: 'modern, packed, event index, merging', bits: [BIT.RING_PACKED, BIT.EVENT_IDX, BIT.MRG_RXBUF] },
  { name: 'modern, packed, disorder', bits: [BIT.RING_PACKED], disorder: true },
  { name: 'legacy, header alone', legacy: true, bits: [] },
  { name: 'legacy, header alone, merging', legacy: true, bits: [BIT.MRG_RXBUF], disorder: true },
  { name: 'legacy, any layout', legacy: true, bits: [BIT.ANY_LAYOUT, BIT.EVENT_IDX] },
]

/** All of them in TypeScript; in WebAssembly those that are there. */
export const VARIANTS = [
  ...KINDS,
  ...KINDS.filter(({ name }) => !/packed|alone/.test(name)).map((kind) => ({
    ...kind,
    name: `${kind.name}, WebAssembly`,
    wasm: true,
  })),
]
