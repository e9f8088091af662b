/** V8's budget for inlining, which the rings' loops exceed. */
import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 inline the driver's loops into the apps (docs/performance.md), in code that it compiles from now on, in all
 * threads of this process. To be called when everything is loaded: what V8 has kept of Node.js's own modules, and of ours
 * (load.ts), was made with other flags, so that it would compile them again, which takes 20 ms in each thread.
 */
export function allowInlining(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=5000')
}
