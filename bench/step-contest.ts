/** An app's step in TypeScript and in WebAssembly on the same packets: docs/examples/hop.ts. In a thread of its own, as contest.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import hop from '../docs/examples/hop.ts'
import code from '../docs/examples/wasm/hop.wasm'
import { RX_DD, RX_EOP } from '../src/driver/intel/descriptors.ts'
import { makeRings } from '../src/driver/intel/queues.ts'
import { StandInCard } from '../src/driver/intel/stand-in.ts'
import { DataPort } from '../src/engine/data-plane.ts'
import { makeWasmStep } from '../src/engine/wasm-step.ts'
import { MonotonicClock } from '../src/linux/monotonic.ts'
import { addressOf, viewOf } from '../src/linux/mapping.ts'
import { DmaArena } from '../src/memory/arena.ts'
import { PacketMemory } from '../src/memory/packets.ts'
import { WasmSpace } from '../src/memory/wasm-space.ts'
import { type Contestant, type Effort, compare } from './lib/measure.ts'

const RING = 512
const RING_BYTES = RING * 16
const POOL_SHIFT = 10
const FRAME = 60
/** Ethernet and IPv4 (0x45, 46 bytes, TTL 64); what else is in it is nobody's business. */
const HEADERS = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17]

export interface StepSpec {
  readonly batchSize: number
  readonly effort: Effort
}

const { batchSize, effort } = workerData as StepSpec

/** `rings`, `step`: in which language they are. */
function contestant(name: string, rings: 'ts' | 'wasm', step: 'ts' | 'wasm'): Contestant {
  const arena = new DmaArena(8 << 20, false)
  const blocks = Array.from({ length: 4 }, () => arena.take(RING_BYTES))
  const packets = arena.takePackets(11, POOL_SHIFT, 2)
  const space = rings === 'wasm' ? new WasmSpace(arena.file) : null
  const iovas = { pageIovas: new Float64Array([0]), pageBytes: 2 ** 30, pageOffset: 0 }
  const memory = new PacketMemory({ ...packets, ...iovas }, space)
  // Through the same mapping as the rings' loops: see Share.productMemory().
  const start = space === null ? 0n : addressOf(space.buffer)
  const ringAt = (at: bigint): ArrayBuffer =>
    viewOf(space === null ? at : start + BigInt(space.offsetOf(at)), RING_BYTES)
  const cards: StandInCard[] = []
  const ports = [0, 2].map((i, pool) => {
    const [rx, tx] = blocks.slice(i, i + 2).map(({ address }) => ({ address, entries: RING }))
    const made = makeRings(memory, pool, rx, tx)
    const card = new StandInCard(ringAt(rx.address), ringAt(tx.address))
    made.rx.start(card.tails, 0)
    made.tx.start(card.tails, 1)
    cards.push(card)
    return new DataPort(made.rx, made.tx)
  })
  const counters = new Float64Array(2)
  const context = { ports, memory, pools: [], batchSize, counters, worker: 0, workers: 1, rehearsal: false }
  const module = { file: 'hop.wasm', module: new WebAssembly.Module(code) }
  const wasm = step === 'wasm' && space !== null ? makeWasmStep(module, space, context) : null
  const steps = hop.make({ ...context, wasm }, undefined)
  const clock = new MonotonicClock()
  const rounds = Math.floor((RING - 32) / batchSize)
  const times = new Float64Array(2)
  return {
    name,
    round() {
      for (const card of cards) {
        while (card.waiting > 0) card.send()
        for (let i = 0; i < rounds * batchSize; i++)
          memory.u8.set(HEADERS, card.writeBack(FRAME, RX_DD | RX_EOP))
      }
      const before = counters[0]
      clock.write(times, 0)
      for (let i = 0; i < rounds; i++) steps.step()
      clock.write(times, 1)
      const all = 2 * rounds * batchSize
      if (counters[0] - before !== all) throw new Error(`${name} passed ${counters[0] - before} of ${all}`)
      return ((times[1] - times[0]) * 1e6) / all
    },
  }
}

parentPort?.postMessage(
  compare(
    [
      contestant('all in TypeScript', 'ts', 'ts'),
      contestant('rings in WebAssembly', 'wasm', 'ts'),
      contestant('all in WebAssembly', 'wasm', 'wasm'),
    ],
    effort,
  ),
)
