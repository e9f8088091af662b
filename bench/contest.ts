/** One comparison in a thread of its own, as in the product: nothing else has been compiled or run there before. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Backend } from '../src/engine/types.ts'
import { DriverShare, type Work } from './driver-share.ts'
import type { Effort } from './lib/measure.ts'
import { loadNative } from './lib/native.ts'

export interface ContestSpec {
  readonly library: string
  readonly work: Work
  readonly backend: Backend
  readonly batchSize: number
  readonly effort: Effort
}

const { library, work, backend, batchSize, effort } = workerData as ContestSpec
const share = new DriverShare(loadNative(library))
parentPort?.postMessage({
  work,
  backend,
  batchSize,
  hugepages: share.hugepages,
  ...share.run(work, backend, batchSize, effort),
})
