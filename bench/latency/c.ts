/** Forwards between two devices in C: the same session (memory, rings, doorbells), another loop. */
import { Worker } from 'node:worker_threads'
import { Session } from '../../src/engine/session.ts'
import { mmap, viewOf } from '../../src/linux/mapping.ts'
import type { CForwarder } from './c-worker.ts'

const PAGE = 4096
/** Milliseconds, as in src/engine/run.ts. */
const WATCH_EVERY = 100

async function main(
  workerFile: string,
  library: string,
  devices: readonly string[],
  seconds: number,
): Promise<void> {
  const session = await Session.open({
    devices,
    access: null,
    cpus: [],
    queues: 1,
    ringSize: 512,
    mtu: 1500,
    mode: 'poll',
    force: false,
  })
  while (!session.devices.every((device) => device.link().up)) await sleep(10)
  const stop = mmap(PAGE)
  const [set] = session.queueSets
  const workerData: CForwarder = { library, set, stop }
  const worker = new Worker(workerFile, { workerData })
  const failed = new Promise<never>((_, reject) => worker.once('error', reject))
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  await Promise.race([new Promise((resolve) => worker.once('message', resolve)), failed])
  for (const device of session.devices) device.start()
  const until = performance.now() + seconds * 1000
  while (performance.now() < until) {
    // The registers that the program's main thread reads, as often: reads cost the NICs time.
    session.assertAlive()
    for (const device of session.devices) device.link()
    await Promise.race([sleep(WATCH_EVERY), failed])
  }
  for (const device of session.devices) device.stopReceiving()
  Atomics.store(new Int32Array(viewOf(stop, PAGE)), 0, 1)
  await ended
  await session.close()
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

const [workerFile, library, a, b, seconds] = process.argv.slice(2)
main(workerFile, library, [a, b], Number(seconds)).catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
