/** The thread that is in C from the first packet to the last. */
import koffi from 'koffi'
import { parentPort, workerData } from 'node:worker_threads'
import type { IntelQueueSpec } from '../../src/driver/intel/queues.ts'
import type { QueueSet } from '../../src/engine/session.ts'

export interface CForwarder {
  readonly library: string
  readonly set: QueueSet
  /** Address of a 32-bit word that is 0 until the end. */
  readonly stop: bigint
}

const BATCH = 32

const { library, set, stop } = workerData as CForwarder
const native = koffi.load(library)
const attach = native.func(
  'void *own_attach(const void *where, uint32_t entries, void *data, uint64_t iova, uint32_t pool_shift)',
)
const run = native.func('void own_run(void *own, void *stop, uint32_t limit)')

const { memory } = set
const ports = set.ports as readonly IntelQueueSpec[]
const where = BigUint64Array.from(
  ports.flatMap(({ rx, tx }) => [
    rx.address,
    tx.address,
    rx.tailPage + BigInt(rx.tailIndex * 4),
    tx.tailPage + BigInt(tx.tailIndex * 4),
  ]),
)
const iova = memory.pageIovas[0] + memory.pageOffset
const own = attach(where, ports[0].rx.entries, memory.address, iova, memory.poolShift)
parentPort?.postMessage('armed')
run(own, stop, BATCH)
