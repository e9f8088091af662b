/** A driver of ours on one of QEMU's cards: what a run has, in one thread. */
import { attach } from '../../src/driver/queue-registry.ts'
import type { Device } from '../../src/driver/device.ts'
import { DRIVERS } from '../../src/driver/registry.ts'
import type { QueuePair } from '../../src/driver/queues.ts'
import { sleepMilliseconds } from '../../src/linux/clock.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { bufferShiftFor, packetMemoryBytes, PacketMemory } from '../../src/memory/packets.ts'
import { poolShiftFor } from '../../src/memory/pool-size.ts'
import { WasmSpace } from '../../src/memory/wasm-space.ts'
import { readIds } from '../../src/pci/ids.ts'
import { Undo } from '../../src/undo.ts'
import type { QtestTransport } from './transport.ts'

const DEADLINE = 10_000
const BATCH = 32

/** What `look` finds: asked until it is not null. Throws when QEMU, which works in a process of its own, takes too long. */
export function eventually<T>(look: () => T | null): T {
  const deadline = performance.now() + DEADLINE
  while (true) {
    const found = look()
    if (found !== null) return found
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE / 1000} s: ${look.toString()}`)
    sleepMilliseconds(0.2)
  }
}

export interface RigOptions {
  readonly queues?: number
  readonly ringSize?: number
  /** Largest frame, bytes with FCS. */
  readonly maxFrame?: number
  readonly interrupts?: boolean
  readonly backend?: 'ts' | 'wasm'
  /** Memory of a rig before this one, on the same machine; by default its own. */
  readonly arena?: DmaArena
}

export class Rig {
  readonly transport: QtestTransport
  readonly device: Device
  readonly memory: PacketMemory
  readonly ports: readonly QueuePair[]
  readonly warnings: string[] = []
  /** Ids of a batch. */
  readonly batch: Int32Array
  private readonly undo = new Undo()

  constructor(transport: QtestTransport, options: RigOptions = {}) {
    const { queues = 1, ringSize = 256, maxFrame = 1518, interrupts = false, backend = 'ts' } = options
    this.transport = transport
    const { driver, model } = DRIVERS.driverOf(
      transport.name,
      readIds(transport.config, transport.name),
      false,
    )
    const bufferShift = bufferShiftFor(maxFrame)
    const poolShift = poolShiftFor({ ports: 1, ringSize, batchSize: BATCH, held: 0 }, queues)
    const packets = packetMemoryBytes(bufferShift, poolShift, queues)
    const rings = driver.dmaBytes({ queues, ringSize }, transport) + 65_536
    const arena = options.arena ?? new DmaArena(packets + rings, false)
    if (options.arena === undefined) this.undo.push(() => arena.close())
    try {
      arena.segments.forEach((segment) => transport.mapDma(segment))
      const spec = arena.takePackets(bufferShift, poolShift, queues)
      this.memory = new PacketMemory(spec, backend === 'wasm' ? new WasmSpace(arena.file) : null)
      this.batch = this.memory.batch(BATCH)
      const warn = (message: string): number => this.warnings.push(message)
      const opened = { model, queues, ringSize, bufferShift, maxFrame, interrupts, warn }
      this.device = driver.open(transport, arena, opened)
      this.undo.push(() => this.device.close())
      this.ports = this.device.queues.map((queue, i) => attach(queue, this.memory, i))
      this.ports.forEach((port) => port.start())
      this.device.start()
      transport.pump()
    } catch (error) {
      this.undo.runQuietly()
      throw error
    }
  }

  /** Sends out again what has come in, on all queues. Returns how many packets. */
  echo(): number {
    let moved = 0
    for (const { rx, tx } of this.ports) {
      const received = rx.receive(this.batch, Math.min(BATCH, tx.room()))
      moved += tx.transmit(this.batch, 0, received)
    }
    this.transport.pump()
    return moved
  }

  /** Sends frames on a queue, as soon as there is room. */
  send(frames: readonly Uint8Array[], queue = 0): void {
    const { tx } = this.ports[queue]
    const { memory, batch } = this
    for (const frame of frames) {
      eventually(() => (this.room(tx) && memory.allocate(queue, batch, 1) === 1 ? true : null))
      memory.u8.set(frame, memory.dataOffset(batch[0]))
      memory.size[batch[0]] = frame.length
      tx.transmit(batch, 0, 1)
    }
    this.transport.pump()
  }

  private room(tx: QueuePair['tx']): boolean {
    this.transport.pump()
    return tx.room() > 0
  }

  /** The frames that have come in since, with the queue they came by. */
  received(): { queue: number; frame: Buffer }[] {
    const { memory, batch } = this
    const frames: { queue: number; frame: Buffer }[] = []
    this.ports.forEach(({ rx }, queue) => {
      for (let count = rx.receive(batch, BATCH); count > 0; count = rx.receive(batch, BATCH)) {
        for (const id of batch.subarray(0, count)) {
          const at = memory.dataOffset(id)
          frames.push({ queue, frame: Buffer.from(memory.u8.subarray(at, at + memory.size[id])) })
        }
        memory.free(batch, 0, count)
      }
    })
    this.transport.pump()
    return frames
  }

  /** Gives the card back. Its machine must be stopped, or the card be reset, before memory is. */
  close(): void {
    this.undo.run()
  }
}
