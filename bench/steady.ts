/**
 * Forwards between two stand-in cards in this thread. Run with --trace-gc and --trace-deopt: what V8 reports between
 * the two marks on stdout happened in steady state.
 */
import { writeSync } from 'node:fs'
import koffi from 'koffi'
import type { Backend } from '../src/engine/types.ts'
import { IxgbeShare } from './ixgbe-share.ts'
import { loadNative } from './lib/native.ts'
import type { Work } from './lib/share.ts'

const MARK = '=== steady ==='

const flush = koffi.load(null).func('int fflush(void *stream)')

/** V8 prints through the C library's buffers. */
function mark(): void {
  flush(null)
  writeSync(1, `${MARK}\n`)
}

const [library, work, backend, warmUp, seconds, batch = '32'] = process.argv.slice(2)
const forwarder = new IxgbeShare(loadNative(library)).contestant(
  work as Work,
  backend as Backend,
  Number(batch),
)
const run = (until: number): void => {
  while (performance.now() < until) for (let i = 0; i < 1000; i++) forwarder.round()
}
run(performance.now() + Number(warmUp) * 1000)
mark()
run(performance.now() + Number(seconds) * 1000)
mark()
