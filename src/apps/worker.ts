/** The entry of a data-plane worker thread: one queue pair per device, one app, nothing else. */
import { realpathSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { isOurs } from '../bundles.ts'
import { checkedRx, checkedTx } from '../driver/checked-queues.ts'
import { attach } from '../driver/queue-registry.ts'
import type { QueuePair } from '../driver/queues.ts'
import type { App, AppSteps, WorkerContext } from '../engine/app.ts'
import { loadApp } from '../engine/app-file.ts'
import { asAppNow } from '../engine/app-mistake.ts'
import { DataPlane, DataPort } from '../engine/data-plane.ts'
import { loadWasmModule } from '../engine/wasm-module.ts'
import { makeWasmStep, type OwnStep } from '../engine/wasm-step.ts'
import { Sleeper } from '../engine/sleeper.ts'
import {
  COMMAND,
  COMMAND_WAIT,
  COUNTERS,
  type FromWorker,
  IN_APP,
  OF_WORKER,
  type WorkerSpec,
} from '../engine/worker-spec.ts'
import { IxyError } from '../errors.ts'
import { allowInlining } from '../inlining.ts'
import { pinThread } from '../linux/affinity.ts'
import { Ledger } from '../memory/checked/ledger.ts'
import { checkedMemory } from '../memory/checked/memory.ts'
import { Places } from '../memory/checked/places.ts'
import { PacketMemory } from '../memory/packets.ts'
import { tellLoaded } from '../threads.ts'
import { WasmSpace } from '../memory/wasm-space.ts'
import { BUILT_IN } from './built-in.ts'
import { warmUp } from './warm-up.ts'

const tell = (message: FromWorker): void => parentPort?.postMessage(message)

/** The memory for the WebAssembly loops; null: there is to be none, or there is no address space for it (ulimit -v). */
function reserveSpace({ wasm, wasmOnly }: WorkerSpec): WasmSpace | null {
  if (wasm === null) return null
  try {
    return new WasmSpace(wasm)
  } catch (error) {
    if (wasmOnly || !(error instanceof IxyError)) throw error
    const text = 'too little address space (ulimit -v) for --backend wasm: using ts, which is slower'
    tell({ type: 'warning', text })
    return null
  }
}

async function findApp({ name, file }: WorkerSpec['app']): Promise<App> {
  if (file !== null) return loadApp(file)
  const found = BUILT_IN.find(({ app }) => app.name === name)
  if (found === undefined) throw new IxyError('IXY_ERR_INTERNAL', `no app is called ${name}`)
  return found.app
}

async function main(spec: WorkerSpec): Promise<void> {
  // By now the other threads of this process have loaded as well.
  allowInlining()
  if (spec.cpu !== null) pinThread([spec.cpu])
  const buffers = new PacketMemory(spec.memory, reserveSpace(spec))
  const pairs = spec.ports.map((port, i) => attach(port, buffers, i))
  const headerBytes = Math.max(...pairs.map((pair) => pair.headerBytes))
  const fills = pairs.some((pair) => pair.fillsBuffers === true)
  const ledger = spec.check
    ? new Ledger(buffers, [...pairs.keys()], new Places(isOurs), headerBytes, fills)
    : null
  const memory = ledger === null ? buffers : checkedMemory(ledger)
  const ports = pairs.map(({ rx, tx }, i) =>
    ledger === null ? new DataPort(rx, tx) : new DataPort(checkedRx(rx, ledger, i), checkedTx(tx, ledger)),
  )
  const control = new Int32Array(spec.control)
  const { file } = spec.app
  control[IN_APP] = 1
  const app = await findApp(spec.app)
  const { space } = buffers
  const module = file === null ? null : loadWasmModule(app, realpathSync(file))
  const context: Omit<WorkerContext, 'rehearsal' | 'wasm'> = {
    ports,
    memory,
    pools: Array.from({ length: app.pools ?? 0 }, (_, i) => ports.length + i),
    batchSize: spec.batchSize,
    counters: new Float64Array(spec.counters, (ports.length * COUNTERS + OF_WORKER) * 8),
    worker: spec.worker,
    workers: spec.workers,
  }
  let wasm: OwnStep | null = null
  const contextFor = (rehearsal: boolean): WorkerContext => {
    wasm?.verify()
    wasm = module === null || space === null ? null : makeWasmStep(module, space, context)
    return { ...context, rehearsal, wasm }
  }
  const start = (): void => pairs.forEach((pair) => pair.start())
  const steps = asAppNow(file, () => {
    if (ledger !== null) return makeChecked(app, () => contextFor(false), spec, ledger, start)
    const rehearsed = rehearse(app, contextFor, spec, pairs)
    wasm?.verify()
    start()
    return rehearsed
  })
  control[IN_APP] = 0

  const sleeper = new Sleeper(spec.ports, spec.mode)
  const plane = new DataPlane(spec, ports, steps, () => tell({ type: 'finished' }), { sleeper })
  tell({ type: 'armed' })
  Atomics.wait(control, COMMAND, COMMAND_WAIT)
  control[IN_APP] = 1
  // Also if it is to stop at once: what has come in by now is counted then.
  asAppNow(file, () => {
    plane.run()
    wasm?.verify()
    ledger?.close()
    tell({ type: 'result', result: steps.result?.() })
  })
  control[IN_APP] = 0
}

/** The app as it goes into the run, after its rehearsal. Queues have to be started anew. */
function rehearse(
  app: App,
  contextFor: (rehearsal: boolean) => WorkerContext,
  spec: WorkerSpec,
  pairs: readonly QueuePair[],
): AppSteps {
  const context = contextFor(true)
  const steps = checked(app, app.make(context, spec.job))
  warmUp(spec, pairs, steps)
  context.memory.reset()
  context.counters.fill(0)
  for (const port of context.ports) port.filteredOut = 0
  if (steps.reset === undefined) return checked(app, app.make(contextFor(false), spec.job))
  steps.reset()
  return steps
}

/** Not rehearsed: nobody measures it, and pretended packets are nobody's. */
function makeChecked(
  app: App,
  context: () => WorkerContext,
  spec: WorkerSpec,
  ledger: Ledger,
  start: () => void,
): AppSteps {
  ledger.poison()
  start()
  ledger.open()
  return checked(app, app.make(context(), spec.job))
}

function checked({ name }: App, steps: Partial<AppSteps> | undefined): AppSteps {
  if (typeof steps?.step === 'function') return steps as AppSteps
  throw new TypeError(`make() of app ${name} returns no step()`)
}

tellLoaded()
parentPort?.once('message', (spec: WorkerSpec) => {
  main(spec).catch((error: unknown) => {
    // Whatever Node.js is told to do about rejections.
    setImmediate(() => {
      throw error
    })
  })
})
