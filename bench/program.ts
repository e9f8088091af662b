/** The parts of the benchmark that run the whole program between virtual NICs. */
import { type EndToEnd, endToEnd } from './end-to-end.ts'
import { latency } from './latency/latency.ts'
import type { LatencyResult } from './latency/sums.ts'
import { type ProgramSteady, programSteady } from './program-steady.ts'

/** Shares of the rate without loss at which latency is measured. */
export const LOADS: readonly number[] = [0.1, 0.5, 0.9]

export interface ProgramFigures {
  readonly endToEnd: EndToEnd
  readonly latency: readonly LatencyResult[]
  readonly programSteady: ProgramSteady
}

/** `picture`: file for the picture of the latencies, null for none. */
export async function program(quick: boolean, picture: string | null): Promise<ProgramFigures> {
  const measured = await endToEnd(quick)
  // Without a rate at which nothing is lost there is still one to measure latencies at.
  const sustained = measured.sustained[0].mpps || measured.throughput[0].median / 4
  return {
    endToEnd: measured,
    latency: await latency({
      ...{ sustained, picture, into: null },
      ...{ loads: LOADS, seconds: quick ? 2 : 4, rounds: quick ? 1 : 3 },
    }),
    programSteady: await programSteady(quick, sustained / 2),
  }
}
