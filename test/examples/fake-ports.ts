/** Runs an app on ports that are arrays of frames. */
import type { App, AppPort, AppSteps } from '../../src/engine/app.ts'
import { allocateShared, releaseBlock } from '../../src/linux/hugepages.ts'
import { PacketMemory, type PacketMemorySpec, packetMemoryBytes } from '../../src/memory/packets.ts'
import { WasmSpace } from '../../src/memory/wasm-space.ts'

const POOL_SHIFT = 6
const BUFFER_SHIFT = 11

export class FakePort implements AppPort {
  /** Frames that come in, and those that have gone out. */
  readonly incoming: Uint8Array[] = []
  readonly sent: Buffer[] = []
  filteredOut = 0
  /** Packets that the transmit ring takes in a step. */
  roomPerStep = Infinity
  private room = Infinity
  private readonly memory: PacketMemory
  private readonly pool: number

  constructor(memory: PacketMemory, pool: number) {
    this.memory = memory
    this.pool = pool
  }

  nextStep(): void {
    this.room = this.roomPerStep
  }

  readonly rx = {
    ...{ packets: 0, bytes: 0, poolEmpty: 0, fragments: 0, badLength: 0 },
    receive: (batch: Int32Array, limit: number): number => {
      const { memory, incoming } = this
      const count = memory.allocate(this.pool, batch, Math.min(limit, incoming.length))
      incoming.splice(0, count).forEach((frame, i) => {
        memory.u8.set(frame, memory.dataOffset(batch[i]))
        memory.size[batch[i]] = frame.length
      })
      return count
    },
    untaken: () => this.incoming.length,
  }

  readonly tx = {
    ...{ packets: 0, bytes: 0 },
    transmit: (batch: Int32Array, from: number, count: number): number => {
      const { memory } = this
      const taken = Math.min(count, this.room)
      for (const id of batch.subarray(from, from + taken)) {
        const start = memory.dataOffset(id)
        this.sent.push(Buffer.from(memory.u8.slice(start, start + memory.size[id])))
      }
      memory.free(batch, from, taken)
      this.room -= taken
      return taken
    },
    room: () => this.room,
    pending: () => 0,
  }
}

function inWasm(spec: PacketMemorySpec, bytes: number): PacketMemory {
  const block = allocateShared(bytes)
  const memory = new PacketMemory({ ...spec, address: block.address }, new WasmSpace(block))
  releaseBlock(block)
  return memory
}

export class FakeRun {
  readonly ports: readonly FakePort[]
  readonly memory: PacketMemory
  readonly steps: AppSteps
  private readonly names: readonly string[]
  private readonly slots: Float64Array

  /** `wasm`: packets are where an app's loops in WebAssembly reach them. */
  constructor(app: App<never, never>, devices: number, job: unknown, batchSize = 8, wasm = false) {
    const ownPools = app.pools ?? 0
    const pools = devices + ownPools
    const bytes = packetMemoryBytes(BUFFER_SHIFT, POOL_SHIFT, pools)
    const pages = { address: 0n, pageIovas: new Float64Array(1), pageBytes: 2 ** 30, pageOffset: 0 }
    const spec = { ...pages, bufferShift: BUFFER_SHIFT, poolShift: POOL_SHIFT, pools }
    const memory = wasm ? inWasm(spec, bytes) : new PacketMemory(spec, new ArrayBuffer(bytes))
    // What was in the buffers before is nobody's business.
    memory.u8.fill(0xa5)
    this.memory = memory
    this.ports = Array.from({ length: devices }, (_, i) => new FakePort(memory, i))
    this.names = app.counters ?? []
    this.slots = new Float64Array(this.names.length)
    this.steps = app.make(
      {
        ports: this.ports,
        memory,
        pools: Array.from({ length: ownPools }, (_, i) => devices + i),
        batchSize,
        counters: this.slots,
        ...{ worker: 0, workers: 1, rehearsal: false, wasm: null },
      },
      job as never,
    )
  }

  /** Lets frames come in at a port and returns what goes out in consequence, by ports. */
  receive(port: number, ...frames: Uint8Array[]): Buffer[][] {
    this.ports[port].incoming.push(...frames)
    return this.step()
  }

  /** Steps until nothing moves. */
  step(): Buffer[][] {
    do for (const port of this.ports) port.nextStep()
    while (this.steps.step() > 0)
    return this.ports.map(({ sent }) => sent.splice(0))
  }

  get counters(): Record<string, number> {
    return Object.fromEntries(this.names.map((name, i) => [name, this.slots[i]]))
  }

  /** Buffers that are not in their pools: the app has them. */
  get held(): number {
    const { memory } = this
    const free = Array.from({ length: memory.pools }, (_, pool) => memory.available(pool))
    return memory.size.length - free.reduce((a, b) => a + b)
  }
}
