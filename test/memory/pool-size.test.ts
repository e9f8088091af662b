import { RX_DD, RX_EOP } from '../../src/driver/intel/descriptors.ts'
import { makeRings } from '../../src/driver/intel/queues.ts'
import { StandInCard } from '../../src/driver/intel/stand-in.ts'
import { shapeOf } from '../../src/engine/session-memory.ts'
import { viewOf } from '../../src/linux/mapping.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { PacketMemory, packetMemoryBytes } from '../../src/memory/packets.ts'
import { buffersInFlight, poolShiftFor } from '../../src/memory/pool-size.ts'
import { WasmSpace } from '../../src/memory/wasm-space.ts'

const MTU = 1500

/** A worker's rings on cards that send nothing. */
class Worker {
  readonly memory: PacketMemory
  readonly ports: readonly (ReturnType<typeof makeRings> & { readonly card: StandInCard })[]
  private readonly arena: DmaArena

  constructor(ports: number, ringSize: number, batchSize: number, held: number, wasm: boolean) {
    const { bufferShift, poolShift, pools } = shapeOf(
      { mtu: MTU, ringSize, batchSize, held, extraPools: 0, offloads: null },
      ports,
    )
    const bytes = packetMemoryBytes(bufferShift, poolShift, pools)
    this.arena = new DmaArena(bytes + (1 << bufferShift) + 2 * ports * ringSize * 16, false)
    const packets = this.arena.takePackets(bufferShift, poolShift, pools)
    this.memory = new PacketMemory(packets, wasm ? new WasmSpace(this.arena.file) : null)
    this.ports = Array.from({ length: ports }, (_, pool) => {
      const rx = { address: this.arena.take(ringSize * 16).address, entries: ringSize }
      const tx = { address: this.arena.take(ringSize * 16).address, entries: ringSize }
      const rings = makeRings(this.memory, pool, rx, tx)
      const card = new StandInCard(viewOf(rx.address, ringSize * 16), viewOf(tx.address, ringSize * 16))
      rings.rx.start(card.tails, 0)
      rings.tx.start(card.tails, 1)
      return { ...rings, card }
    })
  }

  /** Takes `count` packets in at the first port. */
  receive(batch: Int32Array, count: number): void {
    const [{ rx, card }] = this.ports
    for (let i = 0; i < count; i++) card.writeBack(60, RX_DD | RX_EOP)
    expect(rx.receive(batch, count)).toBe(count)
  }

  /** Others need huge pages as well. */
  close(): void {
    this.arena.close()
  }
}

const CASES = [1, 2, 3, 4].flatMap((ports) =>
  [
    { ringSize: 64, batchSize: 32, held: 0 },
    { ringSize: 64, batchSize: 63, held: 100 },
    { ringSize: 512, batchSize: 32, held: 0 },
    { ringSize: 2048, batchSize: 2047, held: 0 },
  ].map((sizes) => ({ ports, ...sizes })),
)

describe.each(['ts', 'wasm'])('%s', (backend) => {
  test.each(CASES)(
    '$ports ports, rings of $ringSize, batches of $batchSize, $held held: no packet is dropped for want of a buffer',
    ({ ports, ringSize, batchSize, held }) => {
      const worker = new Worker(ports, ringSize, batchSize, held, backend === 'wasm')
      const { memory } = worker
      const [first] = worker.ports
      const batch = memory.batch(ringSize)
      // Everything that comes in at the first port waits in the transmit rings, until all are full …
      for (const { tx } of worker.ports) {
        while (tx.room() > 0) {
          const count = Math.min(tx.room(), batchSize)
          worker.receive(batch, count)
          expect(tx.transmit(batch, 0, count)).toBe(count)
        }
      }
      // … the app keeps what it may keep, and has a batch in its hands.
      for (let left = held; left > 0; left -= batchSize) worker.receive(batch, Math.min(left, batchSize))
      worker.receive(batch, batchSize)
      expect(first.rx.poolEmpty).toBe(0)
      expect(first.card.armed).toBe(ringSize - 1)
      const inUse = (1 << memory.poolShift) - memory.available(0)
      expect(inUse).toBe(buffersInFlight({ ports, ringSize, batchSize, held }))
      worker.close()
    },
  )
})

test('what no worker can have is refused before anything is taken', () => {
  expect(() => poolShiftFor({ ports: 3, ringSize: 4096, batchSize: 32, held: 0 }, 3)).toThrow(
    /3 devices with rings of 4096 descriptors need more than the 65536 packet buffers .*--ring-size/,
  )
  expect(poolShiftFor({ ports: 2, ringSize: 4096, batchSize: 4095, held: 0 }, 2)).toBe(14)
  expect(poolShiftFor({ ports: 4, ringSize: 2048, batchSize: 2047, held: 0 }, 4)).toBe(14)
})
