/** The entry of a data-plane worker thread: one queue pair per device, one app, nothing else. */
import { parentPort, workerData } from 'node:worker_threads'
import { attach } from '../driver/queue-registry.ts'
import { DataPlane, DataPort } from '../engine/data-plane.ts'
import { LatencyBook } from '../engine/latency.ts'
import { Sleeper } from '../engine/sleeper.ts'
import {
  COMMAND,
  COMMAND_WAIT,
  type FromWorker,
  type PktgenJob,
  type WorkerSpec,
} from '../engine/worker-spec.ts'
import { IxyError } from '../errors.ts'
import { pinThread } from '../linux/affinity.ts'
import { PacketMemory } from '../memory/packets.ts'
import { WasmSpace } from '../memory/wasm-space.ts'
import { makeForward } from './forward.ts'
import { pktgen } from './pktgen.ts'
import { warmUp } from './warm-up.ts'

type App = (plane: DataPlane) => void

/** The app as it is rehearsed, and as it is run afterwards. */
function makeApps(spec: WorkerSpec, memory: PacketMemory, ports: readonly DataPort[]): [App, App] {
  const { job, batchSize, latency } = spec
  if (job.kind === 'forward') {
    const app = makeForward(memory, ports, batchSize, job.touch)
    return [app, app]
  }
  return [
    (plane) => pktgen(plane, rehearsalOf(job), latency && new LatencyBook(LatencyBook.allocate()), true),
    (plane) => pktgen(plane, job, latency && new LatencyBook(latency), false),
  ]
}

/** Never at its end, and at a rate that doesn't hold it up. No whole number, see packet/pacer.ts. */
function rehearsalOf(job: PktgenJob): PktgenJob {
  return { ...job, count: null, rate: job.rate === null ? null : 1e9 + 0.5 }
}

type Tell = (message: FromWorker) => void

/** The memory for the WebAssembly loops; null: there is to be none, or there is no address space for it (ulimit -v). */
function reserveSpace({ wasm, wasmOnly }: WorkerSpec, tell: Tell): WasmSpace | null {
  if (wasm === null) return null
  try {
    return new WasmSpace(wasm)
  } catch (error) {
    if (wasmOnly || !(error instanceof IxyError)) throw error
    tell({ warning: 'too little address space (ulimit -v) for --backend wasm: using ts, which is slower' })
    return null
  }
}

function main(spec: WorkerSpec): void {
  const tell: Tell = (message) => parentPort?.postMessage(message)
  if (spec.cpu !== null) pinThread([spec.cpu])
  const memory = new PacketMemory(spec.memory, reserveSpace(spec, tell))
  const pairs = spec.ports.map((port, i) => attach(port, memory, i))
  const ports = pairs.map(({ rx, tx }) => new DataPort(rx, tx))
  const [rehearsed, app] = makeApps(spec, memory, ports)
  warmUp(spec, memory, pairs, rehearsed)
  memory.reset()
  for (const pair of pairs) pair.start()

  const eventfds = spec.ports.flatMap(({ interrupt }) => (interrupt === null ? [] : [interrupt]))
  const sleeper = new Sleeper(eventfds, spec.mode)
  const plane = new DataPlane(spec, memory, ports, () => tell('finished'), { sleeper })
  tell('armed')
  const control = new Int32Array(spec.control)
  Atomics.wait(control, COMMAND, COMMAND_WAIT)
  // Also if it is to stop at once: what has come in by now is counted then.
  app(plane)
}

main(workerData as WorkerSpec)
