/** What a packet costs the driver alone with other rings, packets and pools; see contest.ts. */
import type { Effort } from './effort.ts'
import type { ScalingSpec, ScalingTimes, Shape } from './contest.ts'
import { LIBRARY, inWorker } from '../lib/table.ts'

const USUAL: Shape = { ring: 512, frameBytes: 60, poolShift: 11 }
/** The pools are what `--ring-size` makes them: four times the ring. */
const RINGS: readonly Shape[] = [64, 128, 256, 512, 1024, 2048, 4096].map((ring) => ({
  ...USUAL,
  ring,
  poolShift: Math.log2(ring) + 2,
}))
const FRAMES: readonly Shape[] = [60, 128, 256, 512, 1024, 1514, 4096, 9014].map((frameBytes) => ({
  ...USUAL,
  frameBytes,
}))
const POOLS: readonly Shape[] = [10, 11, 12, 13, 14].map((poolShift) => ({ ...USUAL, poolShift }))

export type Measured = Shape & ScalingTimes

export interface Share {
  readonly rings: readonly Measured[]
  readonly frames: readonly Measured[]
  readonly pools: readonly Measured[]
}

export async function share({ quick }: Effort): Promise<Share> {
  console.log('\nThe driver’s share: TypeScript, forward, batch 32; ns per packet, minimum (median)\n')
  const packets = quick ? 2e6 : 10e6
  const sweep = async (
    name: string,
    all: readonly Shape[],
    what: (shape: Shape) => number,
  ): Promise<Measured[]> => {
    const measured: Measured[] = []
    for (const shape of all) {
      const spec: ScalingSpec = { ...shape, library: LIBRARY, rounds: Math.round(packets / (2 * shape.ring)) }
      measured.push({ ...shape, ...(await inWorker<ScalingTimes>('scale/contest.cjs', spec)) })
    }
    const cells = measured.map((one) => `${what(one)}: ${one.min.toFixed(1)} (${one.median.toFixed(1)})`)
    console.log(`  ${name.padEnd(22)}${cells.join('   ')}`)
    return measured
  }
  return {
    rings: await sweep('descriptors per ring', RINGS, ({ ring }) => ring),
    frames: await sweep('bytes per packet', FRAMES, ({ frameBytes }) => frameBytes),
    pools: await sweep('buffers per pool', POOLS, ({ poolShift }) => 1 << poolShift),
  }
}
