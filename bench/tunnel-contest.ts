/** One comparison in a thread of its own, as in the product. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Effort } from './lib/measure.ts'
import { TunnelShare, type TunnelWork } from './tunnel-share.ts'

export interface TunnelContestSpec {
  readonly library: string
  readonly work: TunnelWork
  readonly effort: Effort
}

const { library, work, effort } = workerData as TunnelContestSpec
const share = new TunnelShare(library)
parentPort?.postMessage({ ...work, ...share.run(work, effort) })
