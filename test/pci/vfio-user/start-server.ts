/** Starts the scripted server in a worker thread: the client under test blocks its own. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { Event, Script } from './scripted-server.ts'

export interface Server {
  /** Everything the server has reported since the last call. The client's calls are synchronous, so are these. */
  events(): Event[]
  /** Ends the server; a connected client sees it hang up. */
  stop(): Promise<void>
}

/** `file`: the bundle of scripted-server.ts. */
export async function startServer(file: string, script: Omit<Script, 'stop' | 'port'>): Promise<Server> {
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(file, { workerData: { ...script, stop, port: port1 }, transferList: [port1] })
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
