/** The product's own rings between two stand-in cards, for one shape of rings, packets and pools; in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { makeStep } from '../../src/apps/forward/app.ts'
import { RxRing } from '../../src/driver/intel/rx-ring.ts'
import { TxRing } from '../../src/driver/intel/tx-ring.ts'
import { DataPort } from '../../src/engine/data-plane.ts'
import { allocateShared, releaseBlock } from '../../src/linux/hugepages.ts'
import { viewOf } from '../../src/linux/mapping.ts'
import { PacketMemory, bufferShiftFor, packetMemoryBytes } from '../../src/memory/packets.ts'
import { loadNative } from '../lib/native.ts'

export interface Shape {
  readonly ring: number
  readonly frameBytes: number
  /** log2 of the buffers per pool; there are two pools. */
  readonly poolShift: number
}

export interface ScalingSpec extends Shape {
  readonly library: string
  readonly rounds: number
}

export interface ScalingTimes {
  /** Nanoseconds per packet. */
  readonly min: number
  readonly median: number
}

const BATCH = 32
const POOLS = 2
const TAILS = 4096

function measure({ library, ring, frameBytes, poolShift, rounds }: ScalingSpec): ScalingTimes {
  const native = loadNative(library)
  const bufferShift = bufferShiftFor(Math.max(1518, frameBytes))
  const bytes = packetMemoryBytes(bufferShift, poolShift, POOLS)
  const ringBytes = ring * 16
  const block = allocateShared(bytes + TAILS + 4 * ringBytes)
  const tails = block.address + BigInt(bytes)
  const rings = tails + BigInt(TAILS)
  new Uint8Array(viewOf(tails, TAILS + 4 * ringBytes)).fill(0)
  const cards = native.benchNew(rings, ring, tails, frameBytes, 1)
  const memory = new PacketMemory({
    address: block.address,
    pageIovas: new Float64Array([Number(block.address)]),
    pageBytes: 2 ** Math.ceil(Math.log2(bytes)),
    pageOffset: 0,
    bufferShift,
    poolShift,
    pools: POOLS,
  })
  const registers = new Int32Array(viewOf(tails, TAILS))
  const descriptors = (i: number): ArrayBuffer => viewOf(rings + BigInt(i * ringBytes), ringBytes)
  const [a, b] = [0, 1].map((i) => {
    const rx = new RxRing(memory, i, descriptors(2 * i))
    const tx = new TxRing(memory, descriptors(2 * i + 1))
    rx.start(registers, 2 * i)
    tx.start(registers, 2 * i + 1)
    return new DataPort(rx, tx)
  })
  const step = makeStep(memory, a, b, BATCH, true, [])
  const steps = Math.floor((ring - BATCH) / BATCH)
  const round = (): number => {
    native.benchBegin(cards, 2, steps * BATCH)
    for (let i = 0; i < steps; i++) step()
    return native.benchEnd(cards) / (2 * steps * BATCH)
  }
  for (let i = 0; i < rounds; i++) round()
  const times = Float64Array.from({ length: rounds }, round).sort()
  const errors = native.benchErrors(cards)
  releaseBlock(block)
  if (errors > 0) throw new Error(`${errors} packets did not come out as they should`)
  return { min: times[0], median: times[times.length >> 1] }
}

parentPort?.postMessage(measure(workerData as ScalingSpec))
