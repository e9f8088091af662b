/** What a packet costs with other rings, packets and pools (the driver's share), and with two queues (end to end). */
import { cpus } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Throughput, throughput } from './end-to-end.ts'
import type { ScalingSpec, ScalingTimes, Shape } from './scaling-contest.ts'

/** Set by run.mjs. */
const { BENCH_BUILD = '' } = process.env

const USUAL: Shape = { ring: 512, frameBytes: 60, poolShift: 11 }
/** The pools are what `--ring-size` makes them: four times the ring. */
const RINGS: readonly Shape[] = [64, 128, 256, 512, 1024, 2048, 4096].map((ring) => ({
  ...USUAL,
  ring,
  poolShift: Math.log2(ring) + 2,
}))
const PACKETS: readonly Shape[] = [60, 128, 512, 1514].map((frameBytes) => ({ ...USUAL, frameBytes }))
const POOLS: readonly Shape[] = [11, 12, 13, 14].map((poolShift) => ({ ...USUAL, poolShift }))

export interface Scaling {
  readonly shapes: readonly (Shape & ScalingTimes)[]
  readonly queues: readonly Throughput[]
}

function measure(shape: Shape, rounds: number): Promise<Shape & ScalingTimes> {
  const workerData: ScalingSpec = { ...shape, library: join(BENCH_BUILD, 'native.so'), rounds }
  const worker = new Worker(join(BENCH_BUILD, 'scaling-contest.cjs'), { workerData })
  return new Promise((resolve, reject) => {
    worker.once('message', (times: ScalingTimes) => resolve({ ...shape, ...times }))
    worker.once('error', reject)
  })
}

export async function scaling(quick: boolean): Promise<Scaling> {
  console.log(
    '\nScaling of the driver’s share: TypeScript, forward, batch 32; ns per packet, minimum (median)\n',
  )
  const packets = quick ? 2e6 : 10e6
  const shapes: (Shape & ScalingTimes)[] = []
  const row = async (name: string, all: readonly Shape[], what: (shape: Shape) => number): Promise<void> => {
    const cells: string[] = []
    for (const shape of all) {
      const times = await measure(shape, Math.round(packets / (2 * shape.ring)))
      shapes.push(times)
      cells.push(`${what(shape)}: ${times.min.toFixed(1)} (${times.median.toFixed(1)})`)
    }
    console.log(`  ${name.padEnd(24)}${cells.join('   ')}`)
  }
  await row('descriptors per ring', RINGS, ({ ring }) => ring)
  await row('bytes per packet', PACKETS, ({ frameBytes }) => frameBytes)
  await row('buffers per pool', POOLS, ({ poolShift }) => 1 << poolShift)

  const queues: Throughput[] = []
  for (const count of [1, 2]) {
    const result = await throughput('forward', 60, count, quick ? 1 : 2, 2)
    queues.push(result)
    console.log(
      `  ${count} ${count === 1 ? 'queue' : 'queues'} end to end, 60 bytes, ${count === 1 ? 1 : 64} flows: ${result.median.toFixed(2)} (${result.best.toFixed(2)}) Mpps, ${result.lost} lost`,
    )
  }
  const cores = cpus().length
  if (cores < 3) {
    console.log(`  (${cores} cores: two workers and the process of the virtual NICs share them)`)
  }
  return { shapes, queues }
}
