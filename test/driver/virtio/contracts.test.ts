import type { RxQueue, TxQueue } from '../../../src/driver/device.ts'
import type { QueuePair } from '../../../src/driver/queues.ts'
import { COUNTERS, TX_DONE_BYTES, TX_DONE_PACKETS } from '../../../src/driver/virtio/counters.ts'
import { takeQueue } from '../../../src/driver/virtio/queue-memory.ts'
import type { QueueShape, VirtqueueSpec } from '../../../src/driver/virtio/queue-spec.ts'
import { virtioQueues } from '../../../src/driver/virtio/queues.ts'
import { PAGE_BYTES, mmap, viewOf } from '../../../src/linux/mapping.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'
import { WasmSpace } from '../../../src/memory/wasm-space.ts'
import { BUFFERS, ENTRIES, POOL, POOLS, POOL_SHIFT, type World, keepContracts } from '../contracts.ts'
import { Breaches } from './model/breaches.ts'
import {
  type Addresses,
  type Chain,
  type DeviceQueue,
  PackedDeviceQueue,
  SplitDeviceQueue,
} from './model/device-queue.ts'
import { HostMemory } from './model/host-memory.ts'

interface Kind {
  readonly name: string
  readonly shape: Partial<QueueShape>
  readonly wasm?: boolean
}

class VirtioWorld implements World {
  readonly name: string
  readonly memory: PacketMemory
  readonly held: number[] = []
  readonly near: Int32Array
  private readonly pair: QueuePair
  private readonly shape: QueueShape
  private readonly breaches = new Breaches()
  private readonly host = new HostMemory(this.breaches)
  private readonly marks: DataView
  private readonly counters: Float64Array
  /** By the address of the packet. */
  private readonly ids = new Map<number, number>()
  private readonly addresses: readonly Addresses[]
  private card: { rx: DeviceQueue; tx: DeviceQueue }
  private serial = 1

  constructor({ name, shape, wasm = false }: Kind) {
    this.name = name
    const usual = { packed: false, headerBytes: 12, headerAlone: false, mergeable: false, eventIndex: false }
    this.shape = { ...usual, ...shape } as QueueShape
    const { packed, headerAlone } = this.shape
    const arena = new DmaArena(1 << 20, false)
    for (const segment of arena.segments) this.host.map(segment)
    const page = mmap(PAGE_BYTES)
    const queues = [0, 1].map((queue) => {
      const entries = headerAlone ? 2 * ENTRIES : ENTRIES
      const { block, addresses } = takeQueue(arena, entries, packed)
      const doorbell = { kind: 'memory', page, offset: 4 * queue } as const
      const spec: VirtqueueSpec = { address: block.address, entries, slots: ENTRIES, queue, doorbell }
      return { spec, addresses }
    })
    this.addresses = queues.map(({ addresses }) => addresses)
    const counters = arena.take(COUNTERS * 8).address
    this.counters = new Float64Array(viewOf(counters, COUNTERS * 8))
    const packets = arena.takePackets(11, POOL_SHIFT, POOLS)
    this.memory = new PacketMemory(packets, wasm ? new WasmSpace(arena.file) : null)
    this.near = this.memory.batch(100)
    const words = new Uint32Array(this.memory.iova.buffer, this.memory.iova.byteOffset, 2 * BUFFERS)
    for (let id = 0; id < BUFFERS; id++) this.ids.set(words[2 * id] + words[2 * id + 1] * 2 ** 32, id)
    this.marks = new DataView(this.memory.u8.buffer, this.memory.u8.byteOffset, this.memory.u8.length)
    const [rx, tx] = queues.map(({ spec }) => spec)
    const spec = { driver: 'virtio', interrupt: null, shape: this.shape, rx, tx, counters } as const
    this.pair = virtioQueues.attach(spec, this.memory, 0)
    this.card = this.makeCard()
    this.begin()
  }

  get rx(): RxQueue {
    return this.pair.rx
  }

  get tx(): TxQueue {
    return this.pair.tx
  }

  begin(): void {
    this.memory.reset()
    this.memory.size.fill(60)
    this.pair.start()
    this.card = this.makeCard()
    this.serial = 1
    this.held.length = 0
  }

  deliver(length: number, whole: boolean): void {
    const { rx } = this.card
    const parts = whole || !this.shape.mergeable ? 1 : 2
    const chains: Chain[] = []
    while (chains.length < parts) {
      const chain = rx.take()
      // A part alone never comes: the model gives it back as something that is no packet.
      if (chain === null) return chains.forEach((one) => this.give(one, 1, 0))
      chains.push(chain)
    }
    this.marks.setUint32(this.memory.dataOffset(this.idOf(chains[0])), this.serial++)
    for (const chain of chains) this.give(chain, parts, length)
  }

  send(count: number): unknown[] {
    const sent: unknown[] = []
    for (; count > 0; count--) {
      const chain = this.card.tx.take()
      if (chain === null) break
      const length = chain.parts.reduce((sum, part) => sum + part.length, 0) - this.shape.headerBytes
      sent.push([this.markOf(this.idOf(chain)), length])
      this.card.tx.use(chain, 0)
    }
    return sent
  }

  mark(id: number): void {
    this.memory.size[id] = 60
    this.marks.setUint32(this.memory.dataOffset(id), this.serial++)
  }

  state(): unknown {
    const { memory, rx, tx, counters } = this
    expect(this.breaches.found).toEqual([])
    return {
      rx: [rx.packets, rx.bytes, rx.poolEmpty, rx.fragments, rx.badLength, rx.untaken()],
      tx: [tx.packets, tx.bytes, counters[TX_DONE_PACKETS], counters[TX_DONE_BYTES]],
      free: [memory.available(0), memory.available(1)],
      held: this.held.map((id) => [this.markOf(id), memory.size[id]]),
    }
  }

  astray(): number[] {
    const places = new Array<number>(BUFFERS).fill(0)
    for (let pool = 0; pool < POOLS; pool++) {
      const free = this.memory.freeStack.subarray(pool * POOL, pool * POOL + this.memory.available(pool))
      for (const id of free) if (id >> POOL_SHIFT === pool) places[id]++
    }
    for (const id of this.held) places[id]++
    for (let chain = this.card.rx.take(); chain !== null; chain = this.card.rx.take())
      places[this.idOf(chain)]++
    return places.flatMap((count, id) => (count === 1 ? [] : [id]))
  }

  private makeCard(): { rx: DeviceQueue; tx: DeviceQueue } {
    const { packed, eventIndex, headerAlone } = this.shape
    const Queue = packed ? PackedDeviceQueue : SplitDeviceQueue
    const entries = headerAlone ? 2 * ENTRIES : ENTRIES
    const [rx, tx] = this.addresses.map((at) => new Queue(this.host, this.breaches, entries, at, eventIndex))
    return { rx, tx }
  }

  private give(chain: Chain, parts: number, length: number): void {
    const header = this.memory.dataOffset(this.idOf(chain)) - this.shape.headerBytes
    for (let i = 0; i < this.shape.headerBytes; i++) this.marks.setUint8(header + i, 0)
    if (this.shape.headerBytes === 12) this.marks.setUint16(header + 10, parts, true)
    this.card.rx.use(chain, this.shape.headerBytes + length)
  }

  private idOf({ parts }: Chain): number {
    const [head, data] = parts
    const id = this.ids.get(data?.address ?? head.address + this.shape.headerBytes)
    if (id === undefined) throw new Error(`no packet at ${head.address}`)
    return id
  }

  private markOf(id: number): number {
    return this.marks.getUint32(this.memory.dataOffset(id))
  }
}

const shapes: readonly Kind[] = [
  { name: 'split, ts', shape: {} },
  { name: 'split, event index, wasm', shape: { eventIndex: true }, wasm: true },
  { name: 'split, header alone, ts', shape: { headerBytes: 10, headerAlone: true } },
  { name: 'packed, event index', shape: { packed: true, eventIndex: true } },
  { name: 'packed, in a WebAssembly memory', shape: { packed: true }, wasm: true },
]

describe('one buffer for each packet', () => {
  keepContracts(
    shapes.map((kind) => new VirtioWorld(kind)),
    40,
  )
})

describe('mergeable buffers', () => {
  const alike = shapes.filter(({ shape }) => shape.headerAlone !== true)
  keepContracts(
    alike.map(
      ({ name, shape, wasm = false }) =>
        new VirtioWorld({ name, shape: { ...shape, mergeable: true }, wasm }),
    ),
    40,
  )
})
