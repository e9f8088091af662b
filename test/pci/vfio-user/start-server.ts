/** Starts the scripted server in a worker thread: the client under test blocks its own. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { Event, Script } from './scripted-server.ts'

const root = join(__dirname, '../../..')
/** Below node_modules, where the bundle finds koffi. */
const bundle = join(root, `node_modules/.cache/ixy-ts-test/scripted-server-${process.pid}.cjs`)

/** Worker threads can't run TypeScript: one bundle for all tests of this file. */
export function bundleServer(): string {
  mkdirSync(join(bundle, '..'), { recursive: true })
  execFileSync(join(root, 'node_modules/.bin/esbuild'), [
    join(__dirname, 'scripted-server.ts'),
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--external:koffi',
    '--log-level=error',
    `--outfile=${bundle}`,
  ])
  return bundle
}

export interface Server {
  /** Everything the server has reported since the last call. The client's calls are synchronous, so are these. */
  events(): Event[]
  /** Ends the server; a connected client sees it hang up. */
  stop(): Promise<void>
}

export async function startServer(script: Omit<Script, 'stop' | 'port'>): Promise<Server> {
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(bundle, { workerData: { ...script, stop, port: port1 }, transferList: [port1] })
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error as Error))
  const events = (): Event[] => {
    const found: Event[] = []
    for (let next = receiveMessageOnPort(port2); next; next = receiveMessageOnPort(port2))
      found.push((next as { message: Event }).message)
    return found
  }
  const listening = async (): Promise<void> => {
    while (events().length === 0) await setTimeout(2)
  }
  await Promise.race([listening(), failed])
  const exited = once(worker, 'exit')
  failed.catch(() => undefined)
  return {
    events,
    async stop() {
      stop[0] = 1
      await exited
      port2.close()
    },
  }
}
