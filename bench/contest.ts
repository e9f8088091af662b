/** One comparison in a thread of its own, as in the product: nothing else has been compiled or run there before. */
import { parentPort, workerData } from 'node:worker_threads'
import { IxgbeShare } from './ixgbe-share.ts'
import type { Effort } from './lib/measure.ts'
import { loadNative } from './lib/native.ts'
import type { Loops, Work } from './lib/share.ts'
import { VirtioShare } from './virtio-share.ts'

const SHARES = { ixgbe: IxgbeShare, virtio: VirtioShare }

export interface ContestSpec {
  readonly driver: keyof typeof SHARES
  readonly library: string
  readonly work: Work
  readonly backend: Loops
  readonly batchSize: number
  readonly effort: Effort
}

const { driver, library, work, backend, batchSize, effort } = workerData as ContestSpec
const share = new SHARES[driver](loadNative(library))
parentPort?.postMessage({
  driver,
  work,
  backend,
  batchSize,
  hugepages: share.hugepages,
  ...share.run(work, backend, batchSize, effort),
})
