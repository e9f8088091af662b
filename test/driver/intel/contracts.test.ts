import { DESCRIPTOR_BYTES, RX_DD, RX_EOP, TX_DD, TX_RS } from '../../../src/driver/intel/descriptors.ts'
import { type Startable, makeRings } from '../../../src/driver/intel/queues.ts'
import type { RxQueue, TxQueue } from '../../../src/driver/device.ts'
import { viewOf } from '../../../src/linux/mapping.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'
import { WasmSpace } from '../../../src/memory/wasm-space.ts'
import { BUFFERS, ENTRIES, POOL, POOLS, POOL_SHIFT, type World, keepContracts } from '../contracts.ts'

const MASK = ENTRIES - 1
const RING_BYTES = ENTRIES * DESCRIPTOR_BYTES
const IOVA = 2 ** 33

class IntelWorld implements World {
  readonly name: string
  readonly memory: PacketMemory
  readonly rx: RxQueue & Startable
  readonly tx: TxQueue & Startable
  readonly held: number[] = []
  readonly near: Int32Array
  private readonly tails = new Int32Array(2)
  private readonly rxWords: Uint32Array
  private readonly txWords: Uint32Array
  private readonly marks: DataView
  private rdh = 0
  private tdh = 0
  private serial = 1

  constructor(backend: 'ts' | 'wasm' | 'offloads') {
    this.name = backend
    const arena = new DmaArena(1 << 20, false)
    const [rx, tx] = [arena.take(RING_BYTES).address, arena.take(RING_BYTES).address]
    const spec = arena.takePackets(11, POOL_SHIFT, POOLS)
    const iovas = { pageIovas: new Float64Array([IOVA]), pageBytes: 1 << 20, pageOffset: 0 }
    const space = backend === 'wasm' ? new WasmSpace(arena.file) : null
    const offloads = { offloads: { use: 'understands' as const, pool: -1 } }
    this.memory = new PacketMemory({ ...spec, ...iovas, ...(backend === 'offloads' && offloads) }, space)
    const rings = makeRings(
      this.memory,
      0,
      { address: rx, entries: ENTRIES },
      { address: tx, entries: ENTRIES },
    )
    this.near = this.memory.batch(100)
    this.rx = rings.rx
    this.tx = rings.tx
    this.rxWords = new Uint32Array(viewOf(rx, RING_BYTES))
    this.txWords = new Uint32Array(viewOf(tx, RING_BYTES))
    this.marks = new DataView(this.memory.u8.buffer, this.memory.u8.byteOffset, this.memory.u8.length)
    this.begin()
  }

  begin(): void {
    this.memory.reset()
    this.memory.size.fill(60)
    this.rx.start(this.tails, 0)
    this.tx.start(this.tails, 1)
    this.rdh = 0
    this.tdh = 0
    this.tails[1] = 0
    this.serial = 1
    this.held.length = 0
  }

  deliver(length: number, whole: boolean): void {
    if (this.rdh === this.tails[0]) return
    const word = this.rdh * 4
    this.marks.setUint32(this.rxWords[word] + this.rxWords[word + 1] * 2 ** 32 - IOVA, this.serial++)
    this.rxWords[word + 3] = length
    this.rxWords[word + 2] = whole ? RX_DD | RX_EOP : RX_DD
    this.rdh = (this.rdh + 1) & MASK
  }

  send(count: number): unknown[] {
    const sent: unknown[] = []
    for (; count > 0 && this.tdh !== this.tails[1]; count--) {
      const word = this.tdh * 4
      sent.push(this.inRing(this.tdh))
      if ((this.txWords[word + 2] & TX_RS) !== 0) this.txWords[word + 3] |= TX_DD
      this.tdh = (this.tdh + 1) & MASK
    }
    return sent
  }

  markOf(id: number): number {
    return this.marks.getUint32(this.memory.dataOffset(id))
  }

  mark(id: number): void {
    this.memory.size[id] = 60
    this.marks.setUint32(this.memory.dataOffset(id), this.serial++)
  }

  state(): unknown {
    const { memory, rx, tx } = this
    const waiting: unknown[] = []
    for (let at = this.tdh; at !== this.tails[1]; at = (at + 1) & MASK) waiting.push(this.inRing(at))
    return {
      rx: [rx.packets, rx.bytes, rx.poolEmpty, rx.fragments, rx.badLength, rx.untaken()],
      tx: [tx.packets, tx.bytes],
      free: [memory.available(0), memory.available(1)],
      tails: [...this.tails],
      armed: this.rxWords.filter((_, i) => (i & 3) > 1).join(),
      waiting,
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
    for (let at = 0; at < ENTRIES; at++) {
      const done = (this.rxWords[at * 4 + 2] & RX_DD) !== 0
      if (!done) places[(this.rxWords[at * 4] + this.rxWords[at * 4 + 1] * 2 ** 32 - IOVA) >> 11]++
    }
    return places.flatMap((count, id) => (count === 1 ? [] : [id]))
  }

  private inRing(at: number): unknown {
    const word = at * 4
    const mark = this.marks.getUint32(this.txWords[word] + this.txWords[word + 1] * 2 ** 32 - IOVA)
    return [mark, this.txWords[word + 2], this.txWords[word + 3]]
  }
}

// Where nothing is asked, rings with offloads are rings like the others.
keepContracts([new IntelWorld('ts'), new IntelWorld('wasm'), new IntelWorld('offloads')], 120)
