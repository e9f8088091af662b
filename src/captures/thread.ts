/** The entry of a thread that reads or writes one capture (dist/captures.cjs). */
import { parentPort, workerData } from 'node:worker_threads'
import { feed } from './feeder.ts'
import type { CaptureTask, Tell } from './messages.ts'
import { record } from './recorder.ts'
import { share } from './sharer.ts'
import { tellLoaded } from '../threads.ts'

async function main(task: CaptureTask): Promise<void> {
  const tell: Tell = (message) => parentPort?.postMessage(message)
  if (task.role === 'feed') await feed(task.spec, tell)
  else if (task.role === 'share') await share(task.spec, tell)
  else record(task.spec, tell)
}

tellLoaded()
// Loading is at an end before what may block for as long as the thread lives.
setImmediate(() => void main(workerData as CaptureTask))
