/** A process that ends, or whose threads are ended, as soon as they are there; prints how many have loaded, before and then. */
import { Watchdog } from '../src/engine/watchdog.ts'
import { Thread } from '../src/threads.ts'

const threads = (['captures.cjs', 'worker.cjs'] as const).map((name) => new Thread(name, {}))
for (const { worker } of threads) worker.on('error', () => undefined)
const watchdog = new Watchdog(false)
const loaded = (): number =>
  [...threads, watchdog['thread']].reduce((sum, thread) => sum + Atomics.load(thread['loaded'], 0), 0)
const before = loaded()
process.on('exit', () => console.log(before, loaded()))
if (process.argv[2] === 'terminate') void Promise.all(threads.map((thread) => thread.terminate()))
else process.exit()
