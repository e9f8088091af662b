/** A process whose watchdog is closed as soon as it is there; prints whether its thread has loaded by then. */
import { LOADED, Watchdog } from '../../src/engine/watchdog.ts'

const watchdog = new Watchdog(false)
const before = Atomics.load(watchdog['state'], LOADED)
watchdog.close()
console.log(before, Atomics.load(watchdog['state'], LOADED))
