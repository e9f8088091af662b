/**
 * What V8 inlines, and when it compiles. Both are to be told to it when all threads of the process have loaded everything: what it has
 * kept of Node.js's own modules, and of ours (load.ts), was made with other flags, so that it would compile them again, which takes 20 ms
 * in each thread.
 */
import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 inline the driver's loops into the apps (docs/performance.md), beyond its usual budget, in code that it compiles from now on, in
 * all threads of this process.
 */
export function allowInlining(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=5000')
}

/**
 * Without a rehearsal a fifth of the CPU time of a run of a second would go into machine code for loops that find nothing to do. What
 * does have work gets hot enough nevertheless. Each V8 has its own name for that; no other is touched.
 */
export function compileLate(): void {
  if (process.env['IXY_TS_REHEARSAL'] !== '0') return
  const [major] = process.versions.node.split('.')
  if (major === '20') setFlagsFromString('--interrupt-budget=1000000')
  if (major === '24') setFlagsFromString('--invocation-count-for-turbofan=30000')
}
