/**
 * Threads of this program. Each begins by loading native code (koffi), and one that is ended while it does aborts the whole
 * process: so none is ended before.
 */
import { type Transferable, Worker, workerData } from 'node:worker_threads'
import { type Bundle, bundle } from './bundles.ts'

/** Milliseconds that a thread may take to load; it takes some fifty. */
const LOAD_DEADLINE = 1000

interface Loading {
  /** [0]: 1 once the thread has loaded what it needs, or never will. */
  readonly loaded: Int32Array
  /** For load.ts. */
  readonly bundle: string
}

/** All that have not ended. */
const threads = new Set<Thread>()

// Before the process ends, by process.exit() or because nothing is left to do, and its threads with it.
process.on('exit', () => {
  for (const thread of threads) thread.waitUntilLoaded()
})

export class Thread {
  readonly worker: Worker
  /** Resolves with what it has died of; never, if it hasn't. */
  readonly failed: Promise<unknown>
  readonly exited: Promise<void>
  private readonly loaded = new Int32Array(new SharedArrayBuffer(4))

  /** Runs `name` with what it finds as workerData. Its stdout and stderr lead nowhere. */
  constructor(name: Bundle, data: object, transferList: Transferable[] = []) {
    this.worker = new Worker(bundle('load.cjs'), {
      workerData: { ...data, loaded: this.loaded, bundle: bundle(name) } satisfies Loading,
      transferList,
      // Else Node.js would open ours, and make pipes non-blocking for all who share them.
      stdout: true,
      stderr: true,
    })
    const { loaded } = this
    for (const event of ['error', 'exit']) this.worker.once(event, () => Atomics.store(loaded, 0, 1))
    this.failed = new Promise((resolve) => this.worker.once('error', resolve))
    threads.add(this)
    this.exited = new Promise((resolve) =>
      this.worker.once('exit', () => {
        threads.delete(this)
        resolve()
      }),
    )
  }

  /** Blocks until the thread may be ended. */
  waitUntilLoaded(): void {
    Atomics.wait(this.loaded, 0, 0, LOAD_DEADLINE)
  }

  /** Ends it, wherever it is. */
  async terminate(): Promise<void> {
    this.waitUntilLoaded()
    await this.worker.terminate()
  }
}

/** Called by each thread once it has imported everything. */
export function tellLoaded(): void {
  const { loaded } = workerData as Loading
  Atomics.store(loaded, 0, 1)
  Atomics.notify(loaded, 0)
}
